"""SOAP: its NumPy twin, bases and what they are made from, and what its first step does."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from numpy.typing import NDArray

import schuss
from tests.reference import optim, soap
from tests.reference.rule_cases import SOAP_CASES, Case

Array = NDArray[Any]
Shape = tuple[int, ...]
SetThreads = Callable[[int], None]

cases = pytest.mark.parametrize("case", SOAP_CASES, ids=str)
dtypes = pytest.mark.parametrize("dtype", ["float32", "float64"])
PRECISION = {"float32": 3e-5, "float64": 1e-12}

# Most are longer than wide, or the other way round, so that averages lack ranks.
ANY: list[Shape] = [
    (),
    (1,),
    (37,),
    (1, 1),
    (7, 7),
    (31, 7),
    (7, 31),
    (1, 40),
    (40, 1),
    (60, 20),
    (70, 45),
    (5, 3, 4),
    (4, 6, 9),
    (2, 3, 1, 7),
    (3, 0),
]


def made(case: Case, params: Any) -> schuss.SOAP:
    return schuss.SOAP(params, **case.options)


def normal(seed: int, shapes: Sequence[Shape], dtype: str) -> list[Array]:
    rng = np.random.default_rng(seed)
    return [np.asarray(rng.normal(size=s)).astype(dtype) for s in shapes]


def states_of(optimizer: schuss.Optimizer) -> list[list[Array]]:
    return [list(states.values()) for states in optimizer._states()]


def assert_near(got: Array, wanted: Array, tolerance: float, what: str) -> None:
    assert got.shape == wanted.shape
    if got.size:
        assert_allclose(got, wanted, rtol=0, atol=tolerance * max(np.abs(wanted).max(), 1e-30), err_msg=what)


# ---- the rule --------------------------------------------------------------------------------------------------------


@cases
def test_follows_the_twin(case: Case, isa: str, threads: int) -> None:
    """For 40 steps, where averages have full rank. Of bases, and what lies in them, signs are left out."""
    if case.options.get("merge_dims"):  # to (20, 20) and (30, 30)
        shapes = [(), (1,), (20, 20), (60, 20), (25, 70), (4, 5, 20), (5, 3, 2, 30)]
    elif case.options.get("max_precond_dim"):
        shapes = [(), (20, 20), (60, 20), (25, 70), (4, 5, 6), (5, 40, 4)]
    else:
        shapes = [(), (1,), (1, 1), (7, 7), (20, 20), (4, 5, 6), (3, 4, 3, 5)]
    params, twins = normal(0, shapes, "float64"), normal(0, shapes, "float64")
    states = [[np.zeros(size) for size in soap.state_shapes(case.group, shape)] for shape in shapes]
    optimizer = made(case, params)
    for t in range(1, 41):
        grads = normal(t, shapes, "float64")
        optimizer.step(grads)
        optim.step(twins, grads, states, [case.group], t)
        for shape, p, q in zip(shapes, params, twins, strict=True):
            assert_near(p, q, 1e-9, f"{shape}, step {t}")
    for ours, theirs in zip(states_of(optimizer), states, strict=True):
        for k, (a, b) in enumerate(zip(ours, theirs, strict=True)):
            signless = k == 0 or k >= 2 + len(ours[2:]) // 2
            assert_near(abs(a) if signless else a, abs(b) if signless else b, 1e-6, f"{a.shape}, state {k}")


@cases
@dtypes
def test_any_step(case: Case, dtype: str, isa: str, threads: int) -> None:
    """From wherever ours is: the twin's step in the same bases, and what new bases have to be."""
    params = normal(0, ANY, dtype)
    optimizer = made(case, params)
    o, close = case.group, PRECISION[dtype]
    for t in range(1, 11):
        before, twins = copy.deepcopy(states_of(optimizer)), copy.deepcopy(params)
        grads = normal(t, ANY, dtype)
        kept = copy.deepcopy(grads)
        optimizer.step(grads)
        assert not optimizer.nonfinite
        for i, (shape, p, q, g, s, now) in enumerate(
            zip(ANY, params, twins, grads, before, states_of(optimizer), strict=True)
        ):
            what = f"{shape}, step {t}"
            assert_array_equal(g, kept[i])
            if not p.size:
                continue
            g = -g if o["maximize"] else g
            half = len(s[2:]) // 2
            old, averages, bases = s[2 + half :], now[2 : 2 + half], now[2 + half :]
            if t > 1:
                keep = 1 - o["lr"] * o["weight_decay"]
                q = (keep * (q - soap.update(g, s, o, t))).astype(dtype)
            assert_near(p, q, close, what)
            soap.average(g, s[2 : 2 + half], o)
            for mean, wanted in zip(averages, s[2 : 2 + half], strict=True):
                assert_near(mean, wanted, close, what)
                assert_array_equal(mean, mean.T)
            refreshed = t > 1 and (t - 1) % o["precondition_frequency"] == 0
            for mean, basis, last in zip(averages, bases, old, strict=True):
                assert_near(basis.T.astype(float) @ basis, np.eye(len(basis)), close, what)
                if t == 1:
                    check_eigenvectors(mean, basis, close, what)
                elif refreshed:
                    check_factor(mean, basis, last, close, what)
                else:
                    assert_array_equal(basis, last)
            m = soap.project(now[0].astype(float), o, bases, back=True)
            assert_near(m, soap.project(s[0].astype(float), o, old, back=True), close, what)
            if not refreshed:
                assert_near(now[1], s[1], close, what)
            else:
                assert_near(np.sort(now[1], axis=None), np.sort(s[1], axis=None), close, what)


def check_eigenvectors(mean: Array, basis: Array, close: float, what: str) -> None:
    """In order of their values, as far as these can be told from rounding."""
    values = basis.T.astype(float) @ mean.astype(float) @ basis
    diagonal = np.diagonal(values)
    assert_near(values, np.diag(diagonal), close, what)
    assert (np.diff(diagonal) <= close * max(diagonal[0], 1e-30)).all(), what


def check_factor(mean: Array, basis: Array, last: Array, close: float, what: str) -> None:
    """basis' mean last is an upper triangle once the last basis' columns are in order."""
    power = mean.astype(float) @ last.astype(float)
    values = np.sum(last * power, axis=0)
    order = np.argsort(-values, kind="stable")
    if np.min(-np.diff(values[order]), initial=np.inf) < close * values.max(initial=0.0):
        return  # which order it was cannot be told
    triangle = basis.T.astype(float) @ power[:, order]
    assert_near(triangle, np.triu(triangle), close, what)
    assert (np.diagonal(triangle) >= -close * np.abs(triangle).max()).all(), what


@dtypes
def test_the_first_step_makes_no_update(dtype: str) -> None:
    shapes = [(5, 4), (6,), ()]
    params = normal(0, shapes, dtype)
    before = copy.deepcopy(params)
    optimizer = schuss.SOAP(params, lr=0.1, weight_decay=0.5)
    optimizer.step(normal(1, shapes, dtype))
    for p, q in zip(params, before, strict=True):
        assert_array_equal(p, q)
    assert optimizer.steps == 1
    for states in optimizer._states():
        assert not states["exp_avg"].any() and not states["exp_avg_sq"].any()
    optimizer.step(normal(2, shapes, dtype))
    assert all((p != q).all() for p, q in zip(params, before, strict=True))


@dtypes
def test_vectors_are_stepped_by_adam(dtype: str) -> None:
    """From the second step on, with eps where Keras has it; and matrices that are too large on both sides."""
    shapes = [(300,), (), (20, 30), (4, 25, 16)]
    params, others = normal(0, shapes, dtype), normal(0, shapes, dtype)
    optimizer = schuss.SOAP(params, lr=0.1, betas=(0.8, 0.9), weight_decay=0, max_precond_dim=3)
    adam = schuss.Adam(others, lr=0.1, betas=(0.8, 0.9), dialect="keras")
    assert all(set(states) == {"exp_avg", "exp_avg_sq"} for states in optimizer._states())
    for t in range(10):
        grads = normal(1 + t, shapes, dtype)
        optimizer.step(grads)
        if t:
            adam.step(grads)
    for p, q in zip(params, others, strict=True):
        assert_near(p, q, 1e-6, str(p.shape))


@dtypes
def test_zero_gradients(dtype: str) -> None:
    """At first, in between, and where they leave an average without a direction."""
    params = normal(0, ANY, dtype)
    optimizer = schuss.SOAP(params, precondition_frequency=1, precondition_1d=True)
    zeros = [np.zeros_like(p) for p in params]
    for t, grads in enumerate([zeros, zeros, normal(1, ANY, dtype), zeros, zeros, normal(2, ANY, dtype)]):
        optimizer.step(grads)
        assert all(np.isfinite(p).all() for p in params)
        if t < 2:
            for states in (of for of in optimizer._states() if of["exp_avg"].size):
                for name, state in states.items():
                    assert_array_equal(state, np.eye(len(state)) if name[0] == "Q" else 0)


@dtypes
@pytest.mark.parametrize("stages", [{"grad_scale": 0.25}, {"clip_value": 0.8}], ids=str)
def test_stages(stages: dict[str, float], dtype: str) -> None:
    """The bits of steps with gradients that went through them before."""
    params, others = normal(0, ANY, dtype), normal(0, ANY, dtype)
    optimizer = schuss.SOAP(params, lr=0.1, precondition_frequency=2)
    by_hand = schuss.SOAP(others, lr=0.1, precondition_frequency=2)
    limits = {"grad_scale": 1.0, "clip_value": 0.0} | stages
    for t in range(6):
        grads = normal(1 + t, ANY, dtype)
        optimizer.step(grads, **stages)  # type: ignore[arg-type]
        by_hand.step([optim.limited(g, **limits) for g in grads])
    for p, q in zip(params, others, strict=True):
        assert_array_equal(p, q)


# ---- bases -----------------------------------------------------------------------------------------------------------

SPECTRA: dict[str, Callable[[int], Array]] = {
    "apart": lambda d: np.linspace(2, 1, d),
    "falling": lambda d: 10.0 ** -np.linspace(0, 8, d),
    "clustered": lambda d: np.where(np.arange(d) < d // 3, 3.0, 1.0),
    "equal": np.ones,
    "rank one": lambda d: np.eye(1, d)[0],
    "half": lambda d: np.where(np.arange(d) < d // 2, 1.0, 0.0),
}


@dtypes
@pytest.mark.parametrize("spectrum", list(SPECTRA))
@pytest.mark.parametrize("d", [1, 2, 3, 17, 32, 33, 130])
def test_eigenvectors(d: int, spectrum: str, dtype: str, threads: int) -> None:
    """Of one side; of both where a matrix is square, or much longer."""
    rng = np.random.default_rng(d)
    left, right = (np.linalg.qr(rng.normal(size=(n, d)))[0] for n in (d, 2 * d))
    core = left * SPECTRA[spectrum](d)
    for scale in (1.0, 1e-9 if dtype == "float32" else 1e-90, 1e9 if dtype == "float32" else 1e90):
        square = (scale * core @ np.linalg.qr(rng.normal(size=(d, d)))[0]).astype(dtype)
        wide = (scale * core @ right.T).astype(dtype)
        grads = [square, wide, np.ascontiguousarray(wide.T), wide.copy()]
        groups = [{"params": grads[:3]}, {"params": grads[3:], "max_precond_dim": d}]
        optimizer = schuss.SOAP(copy.deepcopy(groups))
        optimizer.step([[g.copy() for g in group["params"]] for group in groups])
        for states in optimizer._states():
            for k in range(2):
                if f"Q_{k}" not in states:
                    continue
                mean, basis = states[f"GG_{k}"], states[f"Q_{k}"]
                assert_near(basis.T.astype(float) @ basis, np.eye(len(basis)), PRECISION[dtype], str(basis.shape))
                largest = float(mean.diagonal().max())
                if not 1e-30 < largest < (1e30 if dtype == "float32" else 1e200):
                    continue
                check_eigenvectors(mean.astype(float) / largest, basis, 10 * PRECISION[dtype], f"{basis.shape}")


def test_bases_settle() -> None:
    """With gradients of one covariance, iteration ends in the eigenvectors of the averages."""
    rng = np.random.default_rng(0)
    a, b = (np.linalg.qr(rng.normal(size=(n, n)))[0] for n in (6, 9))
    p = np.zeros((6, 9))
    optimizer = schuss.SOAP(p, precondition_frequency=1, shampoo_beta=0.999)
    for _ in range(1500):
        optimizer.step(a @ (2.0 ** -np.arange(6)[:, None] * rng.normal(size=(6, 9)) * 2.0 ** -np.arange(9)) @ b.T)
    for k, wanted in enumerate((a, b)):
        along = np.abs(optimizer._states()[0][f"Q_{k}"].T @ wanted)
        assert_allclose(along, np.eye(len(along)), atol=0.12)


def test_what_is_not_finite_ends() -> None:
    for bad in (np.nan, np.inf):
        p = np.zeros((200, 300), np.float32)
        optimizer = schuss.SOAP(p, precondition_frequency=1)
        g = np.ones_like(p)
        g[3, 4] = bad
        for _ in range(3):
            optimizer.step(g)
            assert optimizer.nonfinite
        assert np.isnan(p).all()


def test_nothing_is_allocated_after_the_first_step() -> None:
    p = np.zeros((60, 70), np.float32)
    optimizer = schuss.SOAP(p, precondition_frequency=2)
    optimizer.step(np.ones_like(p))
    room = optimizer._stepper.scratch
    for _ in range(5):
        optimizer.step(np.ones_like(p))
    assert optimizer._stepper.scratch is room


# ---- states and hyperparameters --------------------------------------------------------------------------------------


def test_states() -> None:
    params = [np.zeros(shape, np.float32) for shape in ((3, 4), (2, 5, 3, 12), (7,), (), (50, 2))]

    def shapes(**options: Any) -> list[dict[str, Shape]]:
        states = schuss.SOAP(params, **options)._states()
        return [{k: v.shape for k, v in of.items() if k not in ("exp_avg", "exp_avg_sq")} for of in states]

    assert shapes(max_precond_dim=20) == [
        {"GG_0": (3, 3), "GG_1": (4, 4), "Q_0": (3, 3), "Q_1": (4, 4)},
        {f"{name}_{k}": (size, size) for name in ("GG", "Q") for k, size in enumerate((2, 5, 3, 12))},
        {},
        {},
        {"GG_1": (2, 2), "Q_1": (2, 2)},
    ]
    assert shapes(max_precond_dim=20, merge_dims=True, precondition_1d=True) == [
        {"GG_0": (12, 12), "Q_0": (12, 12)},
        {"GG_0": (10, 10), "GG_1": (3, 3), "GG_2": (12, 12), "Q_0": (10, 10), "Q_1": (3, 3), "Q_2": (12, 12)},
        {"GG_0": (7, 7), "Q_0": (7, 7)},
        {},
        {"GG_1": (2, 2), "Q_1": (2, 2)},
    ]


@dtypes
def test_states_go_on(dtype: str) -> None:
    """state_dict, its torch form, pickle and deepcopy, between changes of the basis: bit for bit."""
    shapes: list[Shape] = [(6, 9), (9,), (3, 4, 5), (40, 3)]
    options: dict[str, Any] = {"lr": 0.1, "precondition_frequency": 3, "max_precond_dim": 30}
    optimizer = schuss.SOAP(normal(0, shapes, dtype), **options)
    for t in range(5):
        optimizer.step(normal(1 + t, shapes, dtype))
    others = [copy.deepcopy(optimizer), pickle.loads(pickle.dumps(optimizer))]
    others.append(schuss.SOAP(copy.deepcopy(optimizer._stepper.params)))
    others[-1].load_state_dict(optimizer.state_dict())
    third = schuss.SOAP(copy.deepcopy(optimizer._stepper.params), **options)
    third.load_state_dict(copy.deepcopy(others[0].state_dict()))
    for t in range(5):
        for one in (optimizer, *others, third):
            one.step(normal(50 + t, shapes, dtype))
    for one in (*others, third):
        np.testing.assert_equal(one.state_dict(), optimizer.state_dict())
        for p, q in zip(one._stepper.params, optimizer._stepper.params, strict=True):
            assert_array_equal(p, q)


def test_states_that_do_not_fit() -> None:
    p = np.zeros((4, 5))
    state = schuss.SOAP(p).state_dict()
    wrong = copy.deepcopy(state)
    wrong["state"][0]["Q_1"] = np.eye(4)
    with pytest.raises(ValueError, match=r"\['Q_1'\] must be float64 of shape \(5, 5\); got float64 of shape \(4, 4\)"):
        schuss.SOAP(p).load_state_dict(wrong)
    del wrong["state"][0]["Q_1"]
    with pytest.raises(ValueError, match="Q_1 is missing"):
        schuss.SOAP(p).load_state_dict(wrong)
    state["param_groups"][0]["max_precond_dim"] = 4
    with pytest.raises(ValueError, match="'GG_1'"):
        schuss.SOAP(p).load_state_dict(state)


@pytest.mark.parametrize("change", [{"max_precond_dim": 6}, {"merge_dims": True}, {"precondition_1d": True}], ids=str)
@pytest.mark.parametrize("begun", [False, True])
def test_preconditioners_are_fixed(change: dict[str, Any], begun: bool) -> None:
    params = [np.zeros((5, 7)), np.zeros(3)]
    grads = [np.ones((5, 7)), np.ones(3)]
    optimizer = schuss.SOAP(params)
    if begun:
        optimizer.step(grads)
    before = copy.deepcopy(optimizer.state_dict())
    former = dict(optimizer.param_groups[0])
    optimizer.param_groups[0].update(change)
    with pytest.raises(ValueError, match=r"param_groups\[0\] now asks for a state .GG. of shape"):
        optimizer.step(grads)
    optimizer.param_groups[0].update(former)
    np.testing.assert_equal(optimizer.state_dict(), before)
    optimizer.step(grads)


def test_numbers_may_change() -> None:
    p, q = np.ones((5, 7)), np.ones((5, 7))
    changed, made_so = schuss.SOAP(p, precondition_frequency=5), schuss.SOAP(q, precondition_frequency=2, lr=0.1)
    changed.param_groups[0].update(precondition_frequency=2, lr=0.1)
    for t in range(5):
        for optimizer in (changed, made_so):
            optimizer.step(normal(t, [(5, 7)], "float64"))
    assert_array_equal(p, q)
    changed.param_groups[0]["precondition_frequency"] = 0
    with pytest.raises(ValueError, match=r"precondition_frequency must be an integer from 1 to 1000000000; got 0"):
        changed.step(np.ones((5, 7)))


@pytest.mark.parametrize("name", ["merge_dims", "precondition_1d", "normalize_grads", "correct_bias"])
@pytest.mark.parametrize("value", [1, None, "yes"])
def test_flags(name: str, value: Any) -> None:
    with pytest.raises(TypeError, match=f"{name} must be True or False"):
        schuss.SOAP(np.ones(3), **{name: value})


def test_groups_and_schedules() -> None:
    shapes: list[Shape] = [(6, 5), (5,), (5, 4)]
    params, others = normal(0, shapes, "float32"), normal(0, shapes, "float32")
    together = schuss.SOAP(
        [{"params": params[:2]}, {"params": params[2:], "lr": 0.3, "shampoo_beta": 0.5}],
        lr=schuss.schedules.Cosine(0.1, 10),
        no_decay=True,
    )
    assert sorted(group["weight_decay"] for group in together.param_groups) == [0.0, 0.01, 0.01]
    apart = [
        schuss.SOAP(others[0], lr=schuss.schedules.Cosine(0.1, 10)),
        schuss.SOAP(others[1], lr=schuss.schedules.Cosine(0.1, 10), weight_decay=0.0),
        schuss.SOAP(others[2], lr=0.3, shampoo_beta=0.5),
    ]
    for t in range(12):
        grads = normal(1 + t, shapes, "float32")
        together.step(grads)
        for one, g in zip(apart, grads, strict=True):
            one.step(g)
    for p, q in zip(params, others, strict=True):
        assert_array_equal(p, q)


def test_by_name() -> None:
    rng = np.random.default_rng(0)
    X = rng.normal(size=(200, 8)).astype(np.float32)
    net = schuss.Network([schuss.Dense(8, 16, "relu"), schuss.Dense(16, 2)], seed=0)
    history = net.fit(X, (X[:, 0] > 0).astype(int), loss="cross_entropy", optimizer="soap", lr=0.01, epochs=20)
    assert history["loss"][-1] < 0.2


def test_rows_are_refused() -> None:
    p = np.ones((10, 3), np.float32)
    with pytest.raises(TypeError, match="looks at whole arrays"):
        schuss.SOAP(p).step([schuss.Rows([2], np.ones((1, 3), np.float32))])
