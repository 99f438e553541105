"""`schuss.find_lr`: what it leaves alone, what it says, and what it refuses."""

from __future__ import annotations

import math
import pickle
import signal
import threading
import time
from copy import deepcopy
from typing import Any

import numpy as np
import pytest

import schuss
from schuss.guidance import find_lr
from schuss.guidance.runs import Runs
from tests.interrupts import broken

RNG = np.random.Generator(np.random.PCG64(7))
X = RNG.normal(size=(200, 5)).astype(np.float32)
LABELS = (X[:, 0] * X[:, 1] > 0).astype(np.int64)
NUMBERS = np.tanh(X[:, :1] + X[:, 1:2])


def network(seed: int = 0, outputs: int = 2, **of_hidden: Any) -> schuss.Network:
    return schuss.Network([schuss.Dense(5, 12, "relu", **of_hidden), schuss.Dense(outputs)], seed=seed)


def everything(net: schuss.Network, optimizer: Any = None) -> bytes:
    """All that makes a later training what it is."""
    return pickle.dumps([net.__getstate__(), None if optimizer is None else optimizer.state_dict()])


# -- nothing of the caller's changes ----------------------------------------------------------------------------------

WRAPPED = {
    "adam": lambda params: schuss.Adam(params, lr=0.02),
    "momentum": lambda params: schuss.SGD(params, lr=0.1, momentum=0.9),
    "rmsprop": lambda params: schuss.RMSProp(params),
    "ema": lambda params: schuss.EMA(schuss.Adam(params)),
    "swa": lambda params: schuss.SWA(schuss.SGD(params, lr=0.1)),
    "lookahead": lambda params: schuss.Lookahead(schuss.Adam(params)),
    "schedule_free": lambda params: schuss.ScheduleFreeAdamW(params),
    "schedule": lambda params: schuss.Adam(params, lr=schuss.schedules.Cosine(0.01, 100)),
    "plateau": lambda params: schuss.Adam(params, lr=schuss.schedules.ReduceOnPlateau(0.01)),
    "function": lambda params: schuss.Adam(params, lr=lambda step: 0.01 / (1 + step)),
}


@pytest.mark.parametrize("kind", WRAPPED)
@pytest.mark.parametrize("trained_before", [False, True])
def test_a_later_training_has_the_same_bits(kind: str, trained_before: bool) -> None:
    nets = [network(dropout=0.2) for _ in range(2)]
    givens = [WRAPPED[kind](net.parameters) for net in nets]
    after = []
    for k, (net, given) in enumerate(zip(nets, givens, strict=True)):
        if trained_before:
            net.fit(X, LABELS, loss="cross_entropy", optimizer=given, epochs=2)
        if k:
            arrays, steps = net.parameters, given.param_groups[0]
            before, draws = [array.tobytes() for array in arrays], net._core.draws
            rate, schedule, epochs = steps["lr"], steps["schedule"], net.epochs_done
            own, wrapper = net.optimizer, net.wrapper
            find_lr(net, X, LABELS, loss="cross_entropy", optimizer=given, steps=150)
            assert [array.tobytes() for array in net.parameters] == before
            assert all(a is b for a, b in zip(arrays, net.parameters, strict=True))
            assert (net._core.draws, net.epochs_done, net.optimizer, net.wrapper) == (draws, epochs, own, wrapper)
            assert (steps["lr"], steps["schedule"]) == (rate, schedule)
        net.fit(X, LABELS, loss="cross_entropy", optimizer=given, epochs=2)
        after.append([*(array.tobytes() for array in net.parameters), net.history["loss"].tobytes()])
    assert after[0] == after[1]


def test_the_optimizer_of_the_last_fit_stays_too() -> None:
    nets = [network(), network()]
    for k, net in enumerate(nets):
        net.fit(X, LABELS, loss="cross_entropy", optimizer="adam", epochs=1)
        if k:
            before = everything(net)
            find_lr(net, X, LABELS, loss="cross_entropy", optimizer="adam", steps=150)
            find_lr(net, X, LABELS, loss="cross_entropy", optimizer="rmsprop", steps=150)
            find_lr(net, X, LABELS, loss="cross_entropy", steps=150)
            assert everything(net) == before
        net.fit(X, LABELS, loss="cross_entropy", optimizer="adam", epochs=1)
    assert everything(nets[0])[:100] == everything(nets[1])[:100]
    pairs = zip(nets[0].parameters, nets[1].parameters, strict=True)
    assert all(a.tobytes() == b.tobytes() for a, b in pairs)


def test_running_means_stay() -> None:
    net = schuss.Network([schuss.Dense(5, 8), schuss.BatchNorm(), schuss.Dense(2)], seed=0)
    before = [array.tobytes() for array in (*net.parameters, *net._core.states)]
    find_lr(net, X, LABELS, loss="cross_entropy", steps=150)
    assert [array.tobytes() for array in (*net.parameters, *net._core.states)] == before


def test_nothing_changes_wherever_it_is_interrupted() -> None:
    net = network()
    given = schuss.Adam(net.parameters)
    net.fit(X, LABELS, loss="cross_entropy", optimizer=given, epochs=1)
    before = everything(net, given)

    def operation(subject: schuss.Network) -> None:
        find_lr(subject, X, LABELS, loss="cross_entropy", optimizer=given, steps=20, sweeps=1)

    def check(subject: schuss.Network) -> None:
        assert everything(subject, given) == before
        assert not subject._fitting

    assert broken(lambda: net, operation, check, every=97) == []


@pytest.mark.skipif(not hasattr(signal, "pthread_kill"), reason="needs signals to threads")
def test_ctrl_c_ends_it_soon() -> None:
    wide = schuss.Network([schuss.Dense(5, 512, "relu"), schuss.Dense(512, 512, "relu"), schuss.Dense(2)], seed=0)
    before = [array.tobytes() for array in wide.parameters]
    main = threading.main_thread().ident
    assert main is not None
    timer = threading.Timer(0.2, lambda: signal.pthread_kill(main, signal.SIGINT))
    start = time.perf_counter()
    timer.start()
    with pytest.raises(KeyboardInterrupt):
        find_lr(wide, X, LABELS, loss="cross_entropy", steps=1_000_000)
    timer.join()
    assert time.perf_counter() - start < 5.0
    assert [array.tobytes() for array in wide.parameters] == before


def test_an_error_of_the_loss_changes_nothing() -> None:
    net = network(outputs=1)
    before = everything(net)

    def loss(prediction: Any, target: Any) -> tuple[float, Any]:
        raise ArithmeticError("mine")

    with pytest.raises(ArithmeticError, match="mine"):
        find_lr(net, X, NUMBERS, loss=loss)
    assert everything(net) == before


# -- what it says -----------------------------------------------------------------------------------------------------


def test_the_answer_follows_from_the_seed_alone() -> None:
    def found(threads: int, seed: int | None) -> tuple[Any, ...]:
        with schuss.threads(threads):
            one = find_lr(network(), X, LABELS, loss="cross_entropy", optimizer="adam", seed=seed)
        return one.suggestion, one.valley, one.steepest, one.safe, one.diverges, [a.tobytes() for a in one.losses]

    assert found(1, None) == found(2, None) == found(4, 0)  # the network's own seed is 0
    assert found(1, 3) == found(2, 3) != found(1, 4)


@pytest.mark.parametrize("optimizer", ["sgd", "adam", "rmsprop", "lion"])
def test_the_suggestion_trains(optimizer: str) -> None:
    found = find_lr(network(), X, LABELS, loss="cross_entropy", optimizer=optimizer)
    ends = []
    for rate in (found.suggestion / 64, found.suggestion, found.suggestion * 512):
        net = network()
        try:
            net.fit(X, LABELS, loss="cross_entropy", optimizer=optimizer, lr=rate, epochs=5)
            ends.append(net.evaluate(X, LABELS, loss="cross_entropy")["loss"])
        except schuss.DivergenceError:
            ends.append(math.inf)
    assert ends[1] < ends[0] and ends[1] < ends[2]
    assert found.safe <= found.suggestion / 2
    assert found.rates[0] == pytest.approx(1e-6) and found.curve.shape == found.rates.shape
    assert (np.diff(found.trial_rates) > 0).all() and found.trial_rates.shape == found.trial_losses.shape
    assert repr(found).startswith(f"RateSweep: use lr={found.suggestion:.3g}\n")


def test_it_moves_little_with_the_batches() -> None:
    rates = [find_lr(network(), X, LABELS, loss="cross_entropy", optimizer="adam", seed=s).suggestion for s in range(6)]
    assert max(rates) < 2 * min(rates)


def negative_squares(prediction: Any, target: Any) -> tuple[float, Any]:
    """Squares, a thousand below: whoever divides by the loss, or takes its logarithm, is wrong."""
    apart = prediction - target
    return float((apart**2).mean()) - 1000.0, 2.0 * apart / apart.size


def test_the_sign_of_the_loss_does_not_matter() -> None:
    plain = find_lr(network(outputs=1), X, NUMBERS, loss="mse", optimizer="sgd", steps=300)
    shifted = find_lr(network(outputs=1), X, NUMBERS, loss=negative_squares, optimizer="sgd", steps=300)
    assert shifted.start < -990
    assert shifted.suggestion == pytest.approx(plain.suggestion, rel=0.05)
    assert shifted.diverges == pytest.approx(plain.diverges, rel=0.5)


def test_gaussian_losses_below_zero() -> None:
    net = network(outputs=2)
    found = find_lr(net, X, 1e-3 * NUMBERS, loss="gaussian", optimizer="adam")
    net.fit(X, 1e-3 * NUMBERS, loss="gaussian", optimizer="adam", lr=found.suggestion, epochs=5)
    assert net.history["loss"][-1] < net.history["loss"][0]


def test_divergence_from_the_first_step() -> None:
    huge = 1e8 * X.astype(np.float64)
    net = schuss.Network([schuss.Dense(5, 1)], seed=0, dtype="float64")
    found = find_lr(net, huge, NUMBERS, loss="mse", optimizer="sgd")
    assert found.suggestion < 1e-14
    net.fit(huge, NUMBERS, loss="mse", optimizer="sgd", lr=found.suggestion, epochs=3)
    assert net.history["loss"][-1] < net.history["loss"][0]


def test_nan_from_the_first_loss_is_said() -> None:
    def loss(prediction: Any, target: Any) -> tuple[float, Any]:
        return math.nan, prediction * 0

    found = find_lr(network(outputs=1), X, NUMBERS, loss=loss, steps=100)
    assert found.notes and found.suggestion > 0
    assert repr(found).count("note: ") == len(found.notes)


def test_nan_above_a_rate_is_where_it_diverges() -> None:
    weight = [1.0]

    def step(lr: float) -> float:
        weight[0] -= lr * weight[0]
        return math.nan if lr > 0.05 else weight[0] ** 2

    found = find_lr(step)
    assert found.diverges is not None and 0.03 < found.diverges < 0.1
    assert found.suggestion < found.diverges


def test_limits_are_kept() -> None:
    found = find_lr(network(), X, LABELS, loss="cross_entropy", optimizer="adam", lr_min=1e-5, lr_max=1e-3)
    assert 1e-5 <= found.suggestion <= 1e-3 and found.rates[-1] == pytest.approx(1e-3)
    assert (found.trial_rates <= 1e-3).all()


def test_two_rows() -> None:
    found = find_lr(network(), X[:2], LABELS[:2], loss="cross_entropy", batch_size=None, optimizer="adam")
    assert found.suggestion > 0 and found.steps < 1100


def test_steps_are_what_is_asked_for() -> None:
    for steps in (130, 400, 900):
        found = find_lr(network(), X, LABELS, loss="cross_entropy", optimizer="adam", steps=steps)
        assert 0.5 * steps <= found.steps <= 1.25 * steps


# -- what may be given ------------------------------------------------------------------------------------------------


def test_inputs_by_name_weights_and_sparse_rows() -> None:
    scipy = pytest.importorskip("scipy.sparse")
    branches = [[schuss.Input("a", 2)], [schuss.Input("b", 3), schuss.Dense(4)]]
    named = schuss.Network([schuss.Concatenate(branches), schuss.Dense(2)], seed=0)
    weights = np.linspace(0.5, 2, len(X))
    found = find_lr(
        named, {"a": X[:, :2], "b": X[:, 2:]}, LABELS, loss="cross_entropy", sample_weight=weights,
        class_weight="balanced", clip_norm=1.0, clip_value=2.0, drop_last=True, steps=150,
    )  # fmt: skip
    assert found.suggestion > 0
    sparse = schuss.Network([schuss.Input("x", 5, dtype="sparse"), schuss.Dense(2)], seed=0)
    assert find_lr(sparse, scipy.csr_matrix(X), LABELS, loss="cross_entropy", steps=150).suggestion > 0


def test_sequences_with_lengths_and_carried_state() -> None:
    series = RNG.normal(size=(32, 6, 3)).astype(np.float32)
    net = schuss.Network([schuss.Input("x", (6, 3)), schuss.GRU(8), schuss.Dense(1)], seed=0)
    y = series.sum(axis=(1, 2))[:, None]
    lengths = np.arange(32) % 6 + 1
    assert find_lr(net, series, y, loss="mse", lengths=lengths, steps=150).suggestion > 0
    assert find_lr(net, series, y, loss="mse", batch_size=8, carry_state=True, steps=150).suggestion > 0


def test_a_loop_of_ones_own_with_and_without_reset() -> None:
    weight = np.array([3.0, -2.0])
    kept = weight.copy()

    def step(lr: float) -> np.ndarray[Any, Any]:
        loss = np.float32((weight**2).sum())
        weight[...] -= lr * 2 * weight
        return loss

    def reset() -> None:
        weight[...] = kept

    found = find_lr(step, reset=reset)
    assert 0.02 < found.suggestion < 1.0 and len(found.losses) == 3 and len(found.trial_rates)
    assert (weight == kept).all()
    once = find_lr(step, steps=100)
    assert 0.001 < once.suggestion < 1.0 and len(once.losses) == 1 and not len(once.trial_rates)
    assert not (weight == kept).all()


@pytest.mark.parametrize("kind", ["MLPClassifier", "MLPRegressor"])
@pytest.mark.parametrize("solver", ["sgd", "adam", "rmsprop"])
def test_estimators(kind: str, solver: str) -> None:
    sklearn = pytest.importorskip("schuss.sklearn")
    est = getattr(sklearn, kind)(hidden_layer_sizes=(12,), solver=solver, random_state=0, max_iter=5)
    y = LABELS if kind == "MLPClassifier" else NUMBERS.ravel()
    before = dict(est.get_params())
    found = find_lr(est, X, y)
    assert est.get_params() == before and not hasattr(est, "coefs_")
    assert 1e-4 < found.suggestion < 10
    assert found.suggestion == find_lr(est, X, y).suggestion


def test_a_tabular_estimator() -> None:
    sklearn = pytest.importorskip("schuss.sklearn")
    est = sklearn.TabularClassifier(recipe="mlp", random_state=0)
    found = find_lr(est, X, LABELS)
    assert 1e-5 < found.suggestion < 1 and not hasattr(est, "model_")


def test_the_drawing(tmp_path: Any) -> None:
    pytest.importorskip("matplotlib")
    found = find_lr(network(), X, LABELS, loss="cross_entropy", optimizer="adam", steps=150)
    figure = found.plot(tmp_path / "rates.png")
    assert (tmp_path / "rates.png").stat().st_size > 5000
    (axes,) = figure.axes
    labels = " ".join(text.get_text() for text in figure.legends[0].get_texts())
    for name in ("sweeps", "median", "short trainings", "valley", "steepest", "safe", "use"):
        assert name in labels
    assert axes.get_xlabel() == "learning rate" and f"{found.suggestion:.3g}" in axes.get_title()
    assert figure.patch.get_alpha() == 0.0
    assert deepcopy(found).suggestion == found.suggestion == pickle.loads(pickle.dumps(found)).suggestion


# -- what is refused --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"lr_min": 0}, r"lr_min must be a number in \(0, inf\); got 0"),
        ({"lr_min": 0.1, "lr_max": 0.01}, "lr_max must be above lr_min; got 0.1 and 0.01"),
        ({"steps": 3}, "steps must be an integer >= 20; got 3"),
        ({"sweeps": 0}, "sweeps must be an integer from 1 to 100; got 0"),
        ({"seed": -1}, "seed must be an integer from 0"),
        ({"batch_size": 0}, "batch_size must be an integer >= 1; got 0"),
        ({"loss": None}, "loss must be given"),
        ({"loss": "nothing"}, "loss 'nothing' is not known"),
        ({"optimizer": 3}, "optimizer must be an Optimizer or a name; got 3"),
        ({"optimizer": "rprop"}, "optimizer must have a learning rate that steps take"),
        ({"optimizer": "adma"}, "did you mean 'adam"),
        ({"reset": print}, "reset must be None with a network"),
        ({"carry_state": True}, "carry_state must be False for a network without"),
        ({"clip_norm": -1}, "clip_norm"),
        ({"X": X[:, :3]}, "X"),
        ({"y": LABELS[:5]}, "y must have 200 rows"),
    ],
)
def test_errors_name_the_argument(arguments: dict[str, Any], message: str) -> None:
    given: dict[str, Any] = {"X": X, "y": LABELS, "loss": "cross_entropy", **arguments}
    net = network()
    before = everything(net)
    with pytest.raises((ValueError, TypeError), match=message):
        find_lr(net, **given)
    assert everything(net) == before


def test_other_things_are_refused() -> None:
    with pytest.raises(TypeError, match="net must be a Network, a perceptron"):
        find_lr(3)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="X must not be given with a function of the rate"):
        find_lr(lambda lr: 1.0, X)
    with pytest.raises(TypeError, match="the step must return its loss, a number; got 'no'"):
        find_lr(lambda lr: "no")
    with pytest.raises(TypeError, match="reset must be callable"):
        find_lr(lambda lr: 1.0, reset=3)  # type: ignore[arg-type]
    sklearn = pytest.importorskip("schuss.sklearn")
    with pytest.raises(ValueError, match="loss must not be given with an estimator"):
        find_lr(sklearn.MLPClassifier(), X, LABELS, loss="mse")
    with pytest.raises(ValueError, match="solver must not be 'lbfgs'"):
        find_lr(sklearn.MLPClassifier(solver="lbfgs"), X, LABELS)
    other = network()
    with pytest.raises(ValueError, match="optimizer"):
        find_lr(network(), X, LABELS, loss="cross_entropy", optimizer=schuss.Adam(other.parameters))


def test_not_around_a_callback_of_its_own_fit() -> None:
    net = network()

    def callback(record: Any) -> None:
        find_lr(net, X, LABELS, loss="cross_entropy")

    with pytest.raises(RuntimeError, match="fitted already"):
        net.fit(X, LABELS, loss="cross_entropy", callbacks=[callback])


@pytest.mark.parametrize("kind", WRAPPED)
def test_copies_that_are_used_again_are_as_new(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def found() -> list[bytes]:
        net = schuss.Network([schuss.Dense(5, 8, "relu", dropout=0.2), schuss.BatchNorm(), schuss.Dense(2)], seed=0)
        given = WRAPPED[kind](net.parameters)
        net.fit(X, LABELS, loss="cross_entropy", optimizer=given, epochs=1)
        one = find_lr(net, X, LABELS, loss="cross_entropy", optimizer=given, steps=500, lr_max=0.1)
        return [*(losses.tobytes() for losses in one.losses), one.trial_losses.tobytes()]

    again = found()
    plain = Runs._begun
    monkeypatch.setattr(Runs, "_begun", lambda self: (self._free.clear(), plain(self))[1])
    assert found() == again


def test_not_of_a_switch():
    X, y = np.zeros((8, 2), np.float32), np.zeros(8, np.float32)
    net = schuss.Network([schuss.Dense(2, 1)], seed=0)
    switch = schuss.Switch(schuss.Adam(net.parameters), schuss.SGD(net.parameters, lr=0.1), at=3)
    with pytest.raises(TypeError, match="optimizer must be one of the two of the Switch"):
        schuss.find_lr(net, X, y, loss="mse", optimizer=switch)
