"""Several fits at once: what each makes of its network is what it would make of it alone, to the bit."""

from __future__ import annotations

import copy
import signal
import threading
import time
from typing import Any

import numpy as np
import pytest

import schuss
from schuss import schedules as s

RNG = np.random.default_rng(0)
X = RNG.normal(size=(230, 8))
Y = (X[:, 0] + X[:, 1] ** 2 > 1).astype(int) + (X[:, 2] > 0.5)
Z = X[:, :2] @ [[1.0], [2.0]] + 0.1 * RNG.normal(size=(230, 1))


def classifier(seed: int, width: int = 16, dtype: str = "float32") -> schuss.Network:
    layers = [schuss.Dense(8, width, "relu", dropout=0.2), schuss.BatchNorm(), schuss.Dense(width, "gelu")]
    return schuss.Network([*layers, schuss.Dense(3)], seed=seed, dtype=dtype)


def regressor(seed: int) -> schuss.Network:
    return schuss.Network([schuss.Dense(8, 30, "tanh"), schuss.Dense(1)], seed=seed)


def members() -> list[dict[str, Any]]:
    """Fits that differ in everything that a fit may differ in; made anew each time."""
    made: list[dict[str, Any]] = [
        {"network": classifier(0), "X": X, "y": Y, "loss": "cross_entropy", "epochs": 5},
        {
            "network": classifier(1, 40, "float64"),
            "X": X,
            "y": Y,
            "loss": "cross_entropy",
            "epochs": 3,
            "batch_size": 7,
            "lr": s.CosLog(0.02, 100),
            "metrics": ["accuracy", "auc_"][:1],
        },
        {
            "network": regressor(2),
            "X": X,
            "y": Z,
            "loss": "mse",
            "epochs": 9,
            "optimizer": "sgd",
            "lr": 0.01,
            "batch_size": None,
        },
        {
            "network": regressor(3),
            "X": X,
            "y": Z,
            "loss": schuss.Huber(0.5),
            "epochs": 40,
            "validation_fraction": 0.2,
            "early_stopping": schuss.EarlyStopping(2, ties="last"),
            "optimizer": "lamb",
            "lr": 0.05,
        },
        {
            "network": classifier(4),
            "X": X[:50],
            "y": Y[:50],
            "loss": "cross_entropy",
            "epochs": 6,
            "shuffle": False,
            "dropout_factor": s.FlatCos(1.0, 12),
            "clip_norm": 0.5,
            "class_weight": "balanced",
        },
        {
            "network": classifier(5),
            "X": X,
            "y": Y,
            "loss": "cross_entropy",
            "epochs": 4,
            "optimizer": "schedule_free_adamw",
        },
        {
            "network": classifier(6),
            "X": X,
            "y": Y,
            "loss": "cross_entropy",
            "epochs": 4,
            "lr": s.ReduceOnPlateau(0.05, patience=0),
            "sample_weight": np.arange(230.0),
        },
    ]
    for k, kind in ((0, "muon"), (4, "adamw")):
        net = made[k]["network"]
        made[k]["optimizer"] = (
            schuss.AdamW(net.parameters, lr=s.Cosine(0.01, 50), weight_decay=s.FlatCos(0.3, 12))
            if kind == "adamw"
            else schuss.Muon(net.parameters, adamw={"lr": 1e-2})
        )
    return made


def alone(fits: list[dict[str, Any]]) -> list[Any]:
    found: list[Any] = []
    for fit in fits:
        rest = dict(fit)
        try:
            found.append(rest.pop("network").fit(rest.pop("X"), rest.pop("y"), **rest))
        except schuss.DivergenceError as error:
            found.append(error)
    return found


def assert_same(a: schuss.Network, b: schuss.Network) -> None:
    for mine, theirs in zip((*a.parameters, *a._core.states), (*b.parameters, *b._core.states), strict=True):
        np.testing.assert_array_equal(mine, theirs)
    assert (a.epochs_done, a._core.draws) == (b.epochs_done, b._core.draws)
    assert a.optimizer is not None and b.optimizer is not None
    assert a.optimizer.steps == b.optimizer.steps
    for mine, theirs in zip(a.optimizer._states(), b.optimizer._states(), strict=True):
        for name, array in mine.items():
            np.testing.assert_array_equal(array, theirs[name])
    for mine, theirs in zip(a.optimizer.param_groups, b.optimizer.param_groups, strict=True):
        assert {k: v for k, v in mine.items() if k != "params"} == {k: v for k, v in theirs.items() if k != "params"}
    assert a.history.names == b.history.names
    assert a.history.stopped == b.history.stopped
    for name in a.history.names:
        np.testing.assert_array_equal(a.history[name], b.history[name])


@pytest.mark.parametrize("threads", [1, 2, 4])
def test_the_same_as_one_after_the_other(threads: int) -> None:
    side, single = members(), members()
    expected = alone(single)
    with schuss.threads(threads):
        found = schuss.fit_side_by_side(side)
    for mine, theirs, a, b in zip(found, expected, side, single, strict=True):
        assert isinstance(mine, schuss.History)
        assert mine.stopped == theirs.stopped
        np.testing.assert_array_equal(mine.epochs, theirs.epochs)
        assert_same(a["network"], b["network"])
    # And they go on.
    for fits in (side, single):
        for fit in fits:
            fit.update(epochs=2)
            fit.pop("lr", None)
            fit.pop("optimizer", None)
    alone(single)
    schuss.fit_side_by_side(iter(side))
    for a, b in zip(side, single, strict=True):
        assert_same(a["network"], b["network"])


def test_divergence_ends_one_alone() -> None:
    def made() -> list[dict[str, Any]]:
        fits = members()[:4]
        fits[1] = {
            "network": regressor(7),
            "X": X,
            "y": Z,
            "loss": "mse",
            "epochs": 30,
            "optimizer": "sgd",
            "lr": s.PiecewiseConstant([20], [0.01, 1e25]),
        }
        fits.append({**fits[1], "network": regressor(8), "restore_on_divergence": False})
        return fits

    side, single = made(), made()
    with np.errstate(all="ignore"):
        expected = alone(single)
        found = schuss.fit_side_by_side(side)
    for k, (mine, theirs) in enumerate(zip(found, expected, strict=True)):
        assert type(mine) is type(theirs)
        if k in (1, 4):
            assert isinstance(mine, schuss.DivergenceError)
            assert str(mine) == str(theirs)
            assert side[k]["network"].history.stopped == "diverged"
            assert (mine.epoch, mine.batch, mine.lr) == (theirs.epoch, theirs.batch, theirs.lr)
        if k != 4:
            assert_same(side[k]["network"], single[k]["network"])


def test_an_interrupt_leaves_each_as_fit_would() -> None:
    """All are usable, with the best parameters where early stopping keeps them, and go on to the same bits."""
    big = RNG.normal(size=(3000, 8))
    target = big[:, :1]

    def made() -> list[dict[str, Any]]:
        return [
            {
                "network": regressor(seed),
                "X": big,
                "y": target,
                "loss": "mse",
                "epochs": 10**6,
                "lr": s.Cosine(0.01, 10**6),
            }
            for seed in range(3)
        ]

    fits = made()
    fits[1].update(validation_fraction=0.1, early_stopping=schuss.EarlyStopping(10**6))
    timer = threading.Timer(0.7, signal.raise_signal, [signal.SIGINT])
    timer.start()
    start = time.perf_counter()
    with pytest.raises(KeyboardInterrupt):
        schuss.fit_side_by_side(fits)
    assert time.perf_counter() - start < 5
    for k, fit in enumerate(fits):
        net = fit["network"]
        assert net.history.stopped == "interrupted"
        assert not net._fitting
        assert net.epochs_done == len(net.history) > 0
        assert all(np.isfinite(p).all() for p in net.parameters)
        group = net.optimizer.param_groups[0]
        assert group["lr"] == s.Cosine(0.01, 10**6)(net.optimizer.steps - 1)
        if k == 1:
            best = net.history["val_loss"].min()
            kept = copy.deepcopy(net)
            kept.history.stopped = None
            assert net.history["val_loss"][net.history.best_epoch - 1] == best
        net.fit(big, target, loss="mse", epochs=1)


def test_a_callback_ends_its_own_fit_or_all() -> None:
    fits = members()[:3]
    fits[0]["callbacks"] = [lambda record: record.epoch == 2]
    found = schuss.fit_side_by_side(fits)
    assert [history.stopped for history in found] == ["callback", "finished", "finished"]
    assert [len(history) for history in found] == [2, 3, 9]

    def fails(record: schuss.EpochRecord) -> None:
        raise ZeroDivisionError("mine")

    def around(record: schuss.EpochRecord) -> None:
        schuss.fit_side_by_side([fits[1]])

    for callback, kind, text in ((fails, ZeroDivisionError, "mine"), (around, RuntimeError, "being fitted already")):
        fits = members()[:3]
        fits[1]["callbacks"] = [callback]
        with pytest.raises(kind, match=text):
            schuss.fit_side_by_side(fits)
        assert [fit["network"].history.stopped for fit in fits] == ["failed"] * 3
        assert not any(fit["network"]._fitting for fit in fits)


def test_errors_change_nothing() -> None:
    fits = members()[:3]
    before = [[p.copy() for p in fit["network"].parameters] for fit in fits]
    net = fits[0]["network"]
    optimizer = schuss.SGD(fits[2]["network"].parameters)
    for bad, kind, text in (
        ([*fits, fits[0]], ValueError, "each network once"),
        ([fits[0], {"network": net}], ValueError, r"fits\[1\] must have network, X and y; X is missing"),
        ([3], TypeError, r"fits\[0\] must be a dict"),
        (3, TypeError, "fits must be dicts"),
        ([{**fits[0], "network": 1}], TypeError, r"fits\[0\]'s network must be a Network"),
        ([fits[0], {**fits[1], "epochs": 0}], ValueError, r"fits\[1\]: epochs must be"),
        ([fits[0], {**fits[1], "epoch": 1}], TypeError, r"fits\[1\]: .*epoch"),
        ([fits[0], {**fits[1], "y": Z}], TypeError, r"fits\[1\]: y"),
        ([{**fits[0], "loss": lambda p, t: (0.0, p)}], ValueError, r"fits\[0\]: loss must be a compiled one"),
        (
            [
                fits[0],
                {**fits[2], "optimizer": optimizer, "lr": None},
                {**fits[2], "network": regressor(9), "optimizer": optimizer, "lr": None},
            ],
            ValueError,
            r"fits\[2\]: optimizer.* must be",
        ),
    ):
        with pytest.raises(kind, match=text):
            schuss.fit_side_by_side(bad)
        for fit, values in zip(fits, before, strict=True):
            assert fit["network"].optimizer is None
            assert not fit["network"]._fitting
            for mine, theirs in zip(fit["network"].parameters, values, strict=True):
                np.testing.assert_array_equal(mine, theirs)
    assert schuss.fit_side_by_side([]) == []


def test_one_and_many() -> None:
    """One alone has all threads; more than there are threads have their turns."""
    one, same = members()[:1], members()[:1]
    schuss.fit_side_by_side(one)
    alone(same)
    assert_same(one[0]["network"], same[0]["network"])
    many = [
        {"network": regressor(seed), "X": X, "y": Z, "loss": "mse", "epochs": 1 + seed % 5, "batch_size": 1 + seed}
        for seed in range(20)
    ]
    twins = [{**fit, "network": regressor(seed)} for seed, fit in enumerate(many)]
    with schuss.threads(3):
        found = schuss.fit_side_by_side(many)
    alone(twins)
    assert [len(history) for history in found] == [1 + seed % 5 for seed in range(20)]
    for a, b in zip(many, twins, strict=True):
        assert_same(a["network"], b["network"])
