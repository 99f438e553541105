"""Parameters without a gradient in some steps: each counts its own steps, as with torch."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_array_equal, assert_equal

import schuss
from schuss.optim import BY_NAME
from tests.reference import prodigy

SHAPES = [(31, 7), (7,), (1,), (200, 210), (3, 4)]
# With which each is made here, beside its parameters.
OPTIONS: dict[str, list[dict[str, Any]]] = {
    "sgd": [{"lr": 0.1, "momentum": 0.9}, {"lr": 0.1, "momentum": 0.9, "weight_decay": 0.1, "nesterov": True}],
    "adam": [{}, {"amsgrad": True, "weight_decay": 0.1}],
    "muon": [{"adamw": {}}],
    "soap": [{"precondition_frequency": 3, "max_precond_dim": 40}],
    "schedule_free_adamw": [{"warmup_steps": 20, "r": 0.5}],
    "schedule_free_sgd": [{"lr": 0.1, "warmup_steps": 20}],
    "asgd": [{"t0": 10}],
    "nadam": [{}, {"momentum_decay": 0.1}],
}
CASES = [(name, options) for name in BY_NAME for options in OPTIONS.get(name, [{}]) if name != "prodigy"]


def pattern(steps: int, seed: int = 0, shapes: list[Any] = SHAPES) -> Iterator[list[np.ndarray | None]]:
    """Gradients of which some are missing; the last parameter is frozen at first."""
    rng = np.random.default_rng(seed)
    for step in range(steps):
        found: list[np.ndarray | None] = []
        for k, shape in enumerate(shapes):
            gradient = rng.normal(size=shape).astype(np.float32)
            frozen = k == len(shapes) - 1 and step < steps // 3
            found.append(None if frozen or rng.random() < 0.3 else gradient)
        yield found


def arrays(seed: int = 1, shapes: list[Any] = SHAPES) -> list[np.ndarray]:
    rng = np.random.default_rng(seed)
    return [rng.normal(size=shape).astype(np.float32) for shape in shapes]


def assert_same(one: Any, other: Any) -> None:
    """Equal bits of parameters and states."""
    for p, q in zip(one._stepper.params, other._stepper.params, strict=True):
        assert_array_equal(p, q)
    assert_equal(one.state_dict(), other.state_dict())


@pytest.mark.parametrize(("name", "options"), CASES, ids=str)
def test_each_parameter_has_an_optimizer_of_its_own(
    name: str, options: dict[str, Any], set_threads: Callable[[int], None]
) -> None:
    """The bits of one optimizer for each parameter, which makes no step where there is no gradient."""
    apart = arrays()
    twins = [BY_NAME[name](p, **options) for p in apart]
    counts = [0] * len(apart)
    for grads in pattern(12):
        for k, gradient in enumerate(grads):
            if gradient is not None:
                twins[k].step([gradient])
                counts[k] += 1
    for threads in (1, 2, 3):
        set_threads(threads)
        together = arrays()
        optimizer = BY_NAME[name](together, **options)
        for grads in pattern(12):
            optimizer.step(grads)
        assert optimizer.steps == 12
        for p, q in zip(together, apart, strict=True):
            assert_array_equal(p, q)
        state = optimizer.state_dict()["state"]
        for k, twin in enumerate(twins):
            (own,) = twin.state_dict()["state"].values()
            assert state[k]["step"] == counts[k] == own["step"]
            for key in own:
                assert_array_equal(state[k][key], own[key], err_msg=key)


@pytest.mark.parametrize(("name", "options"), [*CASES, ("prodigy", {"use_bias_correction": True})], ids=str)
def test_it_goes_on_wherever_it_is_taken(name: str, options: dict[str, Any], tmp_path: Path) -> None:
    optimizer = BY_NAME[name](arrays(), **options)
    for grads in pattern(9):
        optimizer.step(grads)
    others = [pickle.loads(pickle.dumps(optimizer)), copy.deepcopy(optimizer)]
    for stepped in (False, True):
        loaded = BY_NAME[name]([p.copy() for p in optimizer._stepper.params], **options)
        if stepped:  # and has clocks of its own
            loaded.step([None, *arrays(8)[1:]])
            loaded.step([*arrays(8)[:2], None, None, None])
            for p, q in zip(loaded._stepper.params, optimizer._stepper.params, strict=True):
                p[...] = q
        loaded.load_state_dict(optimizer.state_dict())
        others.append(loaded)
    for other in others:
        assert_same(other, optimizer)
    for grads in pattern(9, seed=5):
        for each in (optimizer, *others):
            each.step(grads)
    for other in others:
        assert other.steps == 18
        assert_same(other, optimizer)


@pytest.mark.parametrize("options", [{}, {"d0": 1e-3, "safeguard_warmup": True, "weight_decay": 0.1}])
def test_prodigys_distance_is_of_all_that_have_a_gradient(options: dict[str, Any]) -> None:
    params, wanted = arrays(), arrays()
    optimizer = schuss.Prodigy(params, **options)
    group = prodigy.DEFAULTS["prodigy"] | {"weight_decay": 0.0, "maximize": False} | options
    states = [[np.zeros_like(p) for _ in range(4)] for p in wanted]
    memory: dict[str, float] = {}
    rng = np.random.default_rng(3)
    for t in range(1, 30):
        grads = [p + 0.1 * rng.normal(size=p.shape).astype(np.float32) for p in wanted]
        given: list[np.ndarray | None] = [g if t == 1 or rng.random() < 0.6 else None for g in grads]
        optimizer.step(given)
        parts = [(p, g, s, 0) for p, g, s in zip(wanted, given, states, strict=True) if g is not None]
        if parts:
            prodigy.step(parts, [group], t, memory)
    # Sums are added in another order where parameters have made different numbers of steps.
    assert optimizer.d == pytest.approx(memory["d"], rel=1e-9)
    assert optimizer.d > 10 * group["d0"]
    for p, q in zip(params, wanted, strict=True):
        np.testing.assert_allclose(p, q, rtol=1e-4, atol=1e-4)


def test_prodigy_starts_from_where_a_parameter_was_at_its_first_step() -> None:
    params = arrays()
    optimizer = schuss.Prodigy(params)
    for _ in range(5):
        optimizer.step([*arrays(4)[:4], None])
    params[4] += 1
    start = params[4].copy()
    optimizer.step(arrays(5))
    optimizer.step(arrays(6))
    assert_array_equal(optimizer.state_dict()["state"][4]["p0"], start)


@pytest.mark.parametrize("name", ["nadam", "schedule_free_adamw", "prodigy", "adam"])
def test_a_step_that_failed_leaves_no_trace(name: str) -> None:
    """Whoever was in it: those that stay away from the next one, too."""
    one, other = BY_NAME[name](arrays()), BY_NAME[name](arrays())
    for grads in pattern(12):
        broken = [None if k % 2 else np.full(shape, np.nan, np.float32) for k, shape in enumerate(SHAPES)]
        one.step(broken, on_nonfinite="skip")
        assert one.nonfinite
        for each in (one, other):
            each.step(grads)
        assert_same(one, other)


def test_those_that_have_made_the_same_steps_are_together_again() -> None:
    optimizer = schuss.NAdam(arrays())
    grads = arrays(3)
    for _ in range(10):
        optimizer.step([grads[0], None, *grads[2:]])
        optimizer.step([None, *grads[1:]])
        optimizer.step([None, None, *grads[2:]])
    assert optimizer.steps == 30
    assert optimizer._stepper.clock_of[0] == optimizer._stepper.clock_of[1]
    assert sorted(optimizer._stepper.behind) == [0, 20]
    optimizer.step([None] * 5)
    assert optimizer.steps == 31
    assert sorted(optimizer._stepper.behind) == [1, 21]


@pytest.mark.parametrize("name", ["adam", "nadam", "lamb"])
def test_clipping_counts_the_gradients_that_are_there(name: str, set_threads: Callable[[int], None]) -> None:
    for threads in (1, 2, 3):
        set_threads(threads)
        all_of_them, some = arrays(), arrays()[:3]
        optimizer = BY_NAME[name](all_of_them)
        alone = BY_NAME[name](some)
        for k in range(4):
            grads = arrays(20 + k)
            optimizer.step([*grads[:3], None, None], clip_norm=0.5)
            alone.step(grads[:3], clip_norm=0.5)
            assert optimizer._stepper.grad_norm == alone._stepper.grad_norm > 0.5
        for p, q in zip(all_of_them, [*some, *arrays()[3:]], strict=True):
            assert_array_equal(p, q)


def test_other_stages_and_forms() -> None:
    start = {"w": np.ones((2, 3)), "b": np.ones(3)}
    params = {name: p.copy() for name, p in start.items()}
    optimizer = schuss.SGD([{"params": params}, {"params": [np.ones(2), np.ones(4)], "lr": 0.5}], lr=1.0)
    given = np.full((2, 3), 4.0)
    optimizer.step(
        [{"b": None, "w": given}, [None, np.ones(4)]], grad_scale=0.5, clip_value=1.5, zero_grad=True, lr=None
    )
    assert_array_equal(params["w"], -0.5)
    assert_array_equal(params["b"], 1)
    assert_array_equal(optimizer.param_groups[1]["params"][0], 1)
    assert_array_equal(optimizer.param_groups[1]["params"][1], 0.75)
    assert_array_equal(given, 0)
    optimizer.step([None, np.ones(3), None, None])
    assert_array_equal(params["b"], 0)
    with pytest.raises(ValueError, match="has no 'b'"):
        optimizer.step([{"w": given}, [None, None]])
    with pytest.raises(TypeError, match="grads must be an array"):
        schuss.SGD(np.ones(3)).step(None)  # type: ignore[arg-type]
    single = schuss.SGD(np.ones(3))
    single.step([None])
    assert single.steps == 1


def test_of_some_rows_in_turns() -> None:
    """Rows, whole arrays and nothing."""
    p, q = np.ones((6, 2)), np.ones((6, 2))
    optimizer, twin = schuss.Adam([p, np.ones(3)]), schuss.Adam(q)
    rows = schuss.Rows([1, 4], np.full((2, 2), 0.5))
    for gradient in (rows, None, np.full((6, 2), 0.3), None, None, rows, np.ones((6, 2))):
        optimizer.step([gradient, np.ones(3)])
        if gradient is not None:
            twin.step([gradient])
    assert_array_equal(p, q)


def test_where_rows_make_up_for_steps_there_have_to_be_gradients() -> None:
    params = [np.ones((4, 2)), np.ones(3)]
    optimizer = schuss.Adam([{"params": params[:1], "rows": "exact"}, {"params": params[1:]}])
    before = optimizer.state_dict()
    with pytest.raises(ValueError, match=r"\[0\].* is None.*rows='exact'"):
        optimizer.step([None, np.ones(3)])
    assert_equal(optimizer.state_dict(), before)
    assert_array_equal(params[1], 1)
    optimizer.step([np.ones((4, 2)), None])  # others may be without
    optimizer.step([schuss.Rows([1], np.ones((1, 2))), np.ones(3)])
    twin = schuss.Adam(np.ones((4, 2)), rows="exact")
    twin.step(np.ones((4, 2)))
    twin.step(schuss.Rows([1], np.ones((1, 2))))
    for each in (optimizer, twin):
        each.catch_up()
    assert_array_equal(params[0], twin.param_groups[0]["params"][0])

    late = schuss.Adam([np.ones((4, 2)), np.ones((4, 2))])
    late.step([np.ones((4, 2)), None])
    late.param_groups[0]["rows"] = "exact"
    with pytest.raises(ValueError, match=r"param_groups\[0\]\['rows'\] must not be 'exact'"):
        late.step([np.ones((4, 2))] * 2)
    assert late.steps == 1
    state = late.state_dict()
    with pytest.raises(ValueError, match="one step count for all parameters of group 0, which has rows='exact'"):
        schuss.Adam([np.ones((4, 2)), np.ones((4, 2))]).load_state_dict(state)


def test_lbfgs_wants_all_gradients() -> None:
    optimizer = schuss.LBFGS([np.ones(3), np.ones(2)])
    with pytest.raises(TypeError, match="None"):
        optimizer.step(lambda: (0.0, [np.ones(3), None]))


def test_averages_go_on_and_what_would_move_the_parameter_waits() -> None:
    p, q = np.full(3, 4.0), np.full(40000, 4.0)
    ema = schuss.EMA(schuss.SGD([p, q], lr=1.0), decay=0.5)
    swa = schuss.SWA(schuss.SGD([p.copy(), q.copy()], lr=1.0))
    for each in (ema, swa):
        own = each.optimizer._stepper.params
        each.step([np.full(3, 2.0), np.full(40000, 2.0)])
        each.step([np.full(3, 2.0), np.full(40000, 2.0)])
        each.step([None, np.full(40000, 2.0)])
        each.step([None, None])
        for k, points in enumerate(([2.0, 0.0, 0.0, 0.0], [2.0, 0.0, -2.0, -2.0])):
            average = points[0]
            for n, point in enumerate(points[1:], 2):
                average += (0.5 if each is ema else 1 / n) * (point - average)
            assert_array_equal(own[k], points[-1])
            assert_array_equal(each.averages[k], average)
    lookahead = schuss.Lookahead(schuss.SGD([np.full(3, 4.0), np.full(3, 4.0)], lr=1.0), k=2, alpha=0.5)
    p, q = lookahead.optimizer._stepper.params
    lookahead.step([np.ones(3), np.ones(3)])
    lookahead.step([np.ones(3), None])
    assert_array_equal(p, 3)
    assert_array_equal(q, 3)
    assert_array_equal(lookahead.averages[1], 4)
    lookahead.step([np.ones(3), np.ones(3)])
    lookahead.step([np.ones(3), np.ones(3)])
    assert_array_equal(q, 2.5)


@pytest.mark.parametrize("name", ["schedule_free_adamw", "schedule_free_sgd"])
def test_what_has_made_no_step_is_its_own_average(name: str) -> None:
    params = [np.ones(3), np.full(2, 7.0)]
    optimizer: Any = BY_NAME[name](params, lr=0.1)
    optimizer.step([np.ones(3), None])
    y = params[0].copy()
    optimizer.eval()
    assert_array_equal(params[1], 7)
    optimizer.train()
    np.testing.assert_allclose(params[0], y, rtol=1e-12)
    assert_array_equal(params[1], 7)
    optimizer.eval()
    other = BY_NAME[name]([p.copy() for p in params], lr=0.1)
    other.load_state_dict(optimizer.state_dict())
    with pytest.raises(RuntimeError, match="eval mode"):
        other.step([None, np.ones(2)])
    assert_equal(other.state_dict(), optimizer.state_dict())


def test_steps_of_which_no_parameter_tells(tmp_path: Path) -> None:
    optimizer = schuss.Adam([np.ones(3), np.ones(2)])
    optimizer.step([np.ones(3), None])
    assert "steps" not in optimizer.state_dict()
    optimizer.step([None, np.ones(2)])
    state = optimizer.state_dict()
    assert state["steps"] == 2
    other = schuss.Adam([np.ones(3), np.ones(2)])
    other.load_state_dict(state)
    assert other.steps == 2
    with pytest.raises(ValueError, match="state_dict's steps"):
        other.load_state_dict({**state, "steps": -1})


# ---- networks --------------------------------------------------------------------------------------------------------


def network() -> schuss.Network:
    return schuss.Network([schuss.Dense(4, 5, activation="tanh"), schuss.Dense(5, 1)], seed=0)


def data(rows: int = 40) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    return rng.normal(size=(rows, 4)), rng.normal(size=(rows, 1))


def begun(name: str, net: schuss.Network) -> Any:
    """An optimizer whose parameters have made different numbers of steps."""
    optimizer = BY_NAME[name](net.parameters)
    grads = [np.full_like(p, 0.1) for p in net.parameters]
    optimizer.step([grads[0], None, grads[2], None])
    optimizer.step([grads[0], grads[1], None, None])
    return optimizer


@pytest.mark.parametrize("name", ["adam", "nadam", "lamb", "schedule_free_adamw", "adafactor", "prodigy"])
@pytest.mark.parametrize("batch_size", [40, 8])
def test_networks_train_with_it(name: str, batch_size: int) -> None:
    """Epochs have the bits of steps by hand."""
    X, y = data()
    fitted, stepped = network(), network()
    one, other = begun(name, fitted), begun(name, stepped)
    fitted.fit(X, y, loss="mse", optimizer=one, epochs=2, batch_size=batch_size, shuffle=False)
    for _ in range(2):
        if name == "schedule_free_adamw":
            other.train()
        for k in range(0, 40, batch_size):
            stepped.loss_and_gradients(X[k : k + batch_size], y[k : k + batch_size], loss="mse")
            other.step(stepped.gradients)
        if name == "schedule_free_adamw":
            other.eval()
    assert_same(one, other)
    assert one.steps == 2 + 2 * 40 // batch_size
    for p, q in zip(fitted.parameters, stepped.parameters, strict=True):
        assert_array_equal(p, q)


@pytest.mark.parametrize("ending", ["npz", "safetensors"])
@pytest.mark.parametrize("name", ["adam", "nadam", "schedule_free_adamw", "prodigy"])
def test_files_have_it(name: str, ending: str, tmp_path: Path) -> None:
    net = network()
    optimizer = begun(name, net)
    net.save(tmp_path / f"net.{ending}", optimizer)
    again = schuss.load(tmp_path / f"net.{ending}")
    assert again.optimizer is not None
    assert_same(again.optimizer, optimizer)
    grads = [np.full_like(p, 0.2) for p in net.parameters]
    for each in (again.optimizer, optimizer):
        each.step([None, *grads[1:]])
    assert_same(again.optimizer, optimizer)


def test_a_training_that_diverges_goes_back_to_the_steps_of_each() -> None:
    X, y = data()
    net = network()
    optimizer = begun("nadam", net)
    before = optimizer.state_dict()
    optimizer.param_groups[0]["lr"] = 1e30
    with pytest.raises(schuss.DivergenceError):
        net.fit(X, y * 1e30, loss="mse", optimizer=optimizer, epochs=50, batch_size=8)
    after = optimizer.state_dict()
    steps = [after["state"][k]["step"] - before["state"][k]["step"] for k in range(4)]
    assert len(set(steps)) == 1
    assert optimizer.steps == 2 + steps[0]
