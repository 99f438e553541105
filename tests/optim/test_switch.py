"""`Switch`: the second optimizer is as one that is made where the first one ends, wherever an optimizer is taken."""

from __future__ import annotations

import array
import copy
import pickle
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import schuss
from schuss import _core, schedules
from schuss.optim import BY_NAME
from tests.interrupts import broken
from tests.network.file_cases import rewritten

ROWS, BATCH = 103, 10
STEPS = -(-ROWS // BATCH)
RNG = np.random.default_rng(0)
X, Y = RNG.normal(size=(ROWS, 5)), RNG.integers(0, 3, ROWS)
WEIGHTS = RNG.uniform(0.5, 2, ROWS)


def network(*, seed: int = 1, dtype: str = "float32") -> schuss.Network:
    layers = [schuss.Dense(5, 16, "relu", dropout=0.2), schuss.BatchNorm(), schuss.Dense(3)]
    return schuss.Network(layers, seed=seed, dtype=dtype)


def adam(params: Any, **more: Any) -> schuss.Optimizer:
    return schuss.Adam(params, **{"lr": 0.01, **more})


def sgd(params: Any, **more: Any) -> schuss.Optimizer:
    return schuss.SGD(params, **{"lr": 0.05, "momentum": 0.9, **more})


def switch(net: schuss.Network, at: int, first: Any = adam, second: Any = sgd) -> schuss.Switch:
    return schuss.Switch(first(net.parameters), second(net.parameters), at=at)


def fitted(net: schuss.Network, optimizer: Any = None, epochs: int = 3, **more: Any) -> schuss.History:
    given: dict[str, Any] = {"loss": "cross_entropy", "batch_size": BATCH, **more}
    return net.fit(X, Y, optimizer=optimizer, epochs=epochs, **given)


def by_hand(net: schuss.Network, first: Any, second: Any, at: int, epochs: int, begun: int = 0) -> list[list[float]]:
    """The same steps, one by one; the losses of each epoch's batches."""
    found = []
    for epoch in range(begun, begun + epochs):
        order = _core.permutation(ROWS, net.seed, epoch)
        found.append([])
        for start in range(0, ROWS, BATCH):
            rows = order[start : start + BATCH]
            used = first if first.steps < at else second
            found[-1].append(net.train_step(X[rows], Y[rows], "cross_entropy", used))
    return found


def bits(net: schuss.Network, *optimizers: schuss.Optimizer) -> list[bytes]:
    """All that training changes."""
    found = [p.tobytes() for p in (*net.parameters, *net._core.states)] + [repr(net._core.draws).encode()]
    for optimizer in optimizers:
        found.append(repr(optimizer.steps).encode())
        found += [a.tobytes() for named in optimizer._states() for a in named.values()]
        found += [a.tobytes() for average in optimizer._stepper.averages for a in average]
    return found


# ---- the law ---------------------------------------------------------------------------------------------------------


def gradient(t: int, shapes: Any = ((4, 3), (3,))) -> list[np.ndarray]:
    rng = np.random.default_rng(t)
    return [rng.normal(size=shape) for shape in shapes]


def made(name: str, params: list[np.ndarray]) -> schuss.Optimizer:
    more: dict[str, Any] = {"adamw": {"lr": 0.01}} if name == "muon" else {}
    return BY_NAME[name](params, **more)


@pytest.mark.parametrize("name", BY_NAME)
def test_any_optimizer_as_the_second_is_as_a_new_one(name: str) -> None:
    mine, theirs = ([np.ones((4, 3)), np.ones(3)] for _ in range(2))
    used = schuss.Switch(schuss.Adam(mine, lr=0.1), made(name, mine), at=4)
    first = schuss.Adam(theirs, lr=0.1)
    for t in range(4):
        assert not used.switched and used.optimizer is used.first
        used.step(gradient(t))
        first.step(gradient(t))
    second = made(name, theirs)
    for t in range(4, 9):
        assert used.switched and used.optimizer is used.second
        used.step(gradient(t))
        second.step(gradient(t))
    assert [p.tobytes() for p in mine] == [p.tobytes() for p in theirs]
    assert used.steps == 9 and (used.first.steps, used.second.steps) == (4, 5)


@pytest.mark.parametrize("name", BY_NAME)
def test_any_optimizer_as_the_first_ends_where_its_result_is(name: str) -> None:
    mine, theirs = ([np.ones((4, 3)), np.ones(3)] for _ in range(2))
    used = schuss.Switch(made(name, mine), schuss.SGD(mine, lr=0.1, momentum=0.9), at=4)
    first = made(name, theirs)
    for t in range(4):
        used.step(gradient(t))
        first.step(gradient(t))
    if isinstance(first, (schuss.ScheduleFreeSGD, schuss.ScheduleFreeAdamW)):
        first.eval()
    second = schuss.SGD(theirs, lr=0.1, momentum=0.9)
    for t in range(4, 9):
        used.step(gradient(t))
        second.step(gradient(t))
    assert [p.tobytes() for p in mine] == [p.tobytes() for p in theirs]


@pytest.mark.parametrize("around", [schuss.EMA, schuss.SWA, lambda opt: schuss.Lookahead(opt, k=2)])
def test_an_average_of_the_second_begins_at_the_switch(around: Callable[[Any], schuss.Averaged]) -> None:
    mine, theirs = ([np.ones((4, 3)), np.ones(3)] for _ in range(2))
    average = around(schuss.SGD(mine, lr=0.1))
    used = schuss.Switch(schuss.Adam(mine, lr=0.1), average, at=3)
    first = schuss.Adam(theirs, lr=0.1)
    for t in range(3):
        used.step(gradient(t))
        first.step(gradient(t))
    other = around(schuss.SGD(theirs, lr=0.1))
    for t in range(3, 9):
        used.step(gradient(t))
        other.step(gradient(t))
        for a, b in zip([*mine, *average.averages], [*theirs, *other.averages], strict=True):
            np.testing.assert_array_equal(a, b)


def test_the_options_of_a_step_go_to_whose_turn_it_is() -> None:
    params = [np.ones(3)]
    used = schuss.Switch(schuss.SGD(params, lr=1.0), schuss.SGD(params, lr=1.0), at=1)
    for _ in range(2):
        used.step([np.full(3, 8.0)], lr=0.5, grad_scale=0.5, clip_value=1.0)
    np.testing.assert_array_equal(params[0], np.zeros(3))
    used.step([np.full(3, np.nan)], on_nonfinite="skip")
    assert used.nonfinite and used.steps == 2
    with pytest.raises(schuss.DivergenceError):
        used.step([np.full(3, np.inf)], on_nonfinite="raise")


# ---- forms of the parameters -----------------------------------------------------------------------------------------


def test_gradients_come_in_the_form_of_the_first() -> None:
    """Each has its own form and order of the arrays, which are the same."""

    def named() -> dict[str, np.ndarray]:
        return {"w": np.ones((4, 3)), "b": np.ones(3)}

    def step(used: Any, mine: str, t: int) -> None:
        w, b = gradient(t)
        used.step({"dict": {"b": b, "w": w}, "list": [w, b], "groups": [[b], [w]]}[mine])

    def given(params: dict[str, np.ndarray], form: str) -> Any:
        w, b = params["w"], params["b"]
        return {"dict": params, "list": [w, b], "groups": [{"params": [b]}, {"params": [w], "lr": 0.02}]}[form]

    for mine in ("dict", "list", "groups"):
        for other in ("dict", "list", "groups"):
            params, wanted = named(), named()
            used = schuss.Switch(schuss.Adam(given(params, mine)), schuss.SGD(given(params, other), lr=0.1), at=2)
            first = schuss.Adam(given(wanted, mine))
            for t in range(2):
                step(used, mine, t)
                step(first, mine, t)
            second = schuss.SGD(given(wanted, other), lr=0.1)
            for t in range(2, 5):
                step(used, mine, t)
                step(second, other, t)
            for name in params:
                np.testing.assert_array_equal(params[name], wanted[name], err_msg=f"{mine}, {other}")


def test_memory_that_is_no_array() -> None:
    """Pickles and copies of it have one memory for both, too."""
    memory = array.array("d", [1.0, 2.0, 3.0])
    used = schuss.Switch(schuss.Adam([memory], lr=0.1), schuss.SGD([memory], lr=0.1, momentum=0.9), at=2)
    used.step([np.ones(3)])
    others = [pickle.loads(pickle.dumps(used)), copy.deepcopy(used)]
    for _ in range(3):
        for each in (used, *others):
            each.step([np.ones(3)])
    for other in others:
        assert other.first.param_groups[0]["params"][0].tobytes() == memory.tobytes()
        assert other.second.param_groups[0]["params"][0].tobytes() == memory.tobytes()
        assert other.switched and other.at == 2


# ---- fit -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("at", [1, 2, STEPS - 1, STEPS, STEPS + 1, 2 * STEPS - 3, 3 * STEPS - 1, 3 * STEPS, 500])
def test_fit_switches_at_exactly_that_step(at: int) -> None:
    mine, theirs = network(), network()
    used = switch(mine, at)
    losses: list[np.ndarray] = []
    history = fitted(mine, used, callbacks=[lambda record: losses.append(record.batch_losses)])
    first, second = adam(theirs.parameters), sgd(theirs.parameters)
    wanted = by_hand(theirs, first, second, at, 3)
    assert bits(mine, used.first, used.second) == bits(theirs, first, second)
    assert used.first.steps == min(at, 3 * STEPS) and used.steps == 3 * STEPS
    np.testing.assert_array_equal(losses, wanted)
    rows = np.diff([*range(0, ROWS, BATCH), ROWS])
    np.testing.assert_allclose(history["loss"], np.average(wanted, axis=1, weights=rows), rtol=1e-12)
    assert mine.wrapper is used and mine.optimizer is used.optimizer
    assert (mine.optimizer is used.second) == (at <= 3 * STEPS)


def plain(params: Any) -> schuss.Optimizer:
    """It remembers nothing, so one from whose place another goes on is the same as one alone."""
    return schuss.SGD(params, lr=0.05)


def same_as_one(make: Callable[[], schuss.Network], x: Any, y: Any, at: int, **arguments: Any) -> None:
    """A switch from plain gradient descent to plain gradient descent changes nothing."""
    nets, seen = [make(), make()], [[], []]  # type: ignore[var-annotated]
    optimizers = [plain(nets[0].parameters), switch(nets[1], at, plain, plain)]
    histories = [
        net.fit(x, y, optimizer=optimizer, callbacks=[lambda record, of=of: of.append(record)], **arguments)
        for net, optimizer, of in zip(nets, optimizers, seen, strict=True)
    ]
    assert bits(nets[0]) == bits(nets[1])
    assert len({optimizer.steps for optimizer in optimizers}) == 1
    for name in histories[0].names:
        assert histories[0][name].tobytes() == histories[1][name].tobytes(), name
    np.testing.assert_array_equal(histories[0].lr, histories[1].lr)
    assert [record.batch_losses.tobytes() for record in seen[0]] == [r.batch_losses.tobytes() for r in seen[1]]


@pytest.mark.parametrize("at", [4, STEPS, STEPS + 4])
@pytest.mark.parametrize(
    "arguments",
    [
        {"sample_weight": WEIGHTS},
        {"drop_last": True},
        {"shuffle": False},
        {"batch_size": None, "epochs": 20},
        {"clip_norm": 0.5},
        {"restore_on_divergence": False},
        {"validation_fraction": 0.3, "early_stopping": 1},
        {"loss": lambda output, target: (float((output**2).mean()), 2 * output / output.size)},
        {"dropout_factor": schedules.Linear(1.0, 3 * STEPS)},
        {"dropout_factor": lambda step: 1 / (1 + step)},
    ],
    ids=[
        "weights",
        "drop_last",
        "in order",
        "one batch",
        "clipped",
        "no copies",
        "stopped",
        "own",
        "dropout",
        "function",
    ],
)
def test_two_parts_of_an_epoch_are_one_epoch(arguments: dict[str, Any], at: int) -> None:
    given: dict[str, Any] = {"loss": "cross_entropy", "batch_size": BATCH, "epochs": 3, **arguments}
    same_as_one(network, X, Y, at, **given)


def test_states_go_on_from_batch_to_batch_over_the_switch() -> None:
    x = np.random.default_rng(1).normal(size=(24, 6, 2))

    def recurrent() -> schuss.Network:
        return schuss.Network([schuss.GRU(5, input_shape=(6, 2)), schuss.Dense(1)], seed=3)

    same_as_one(recurrent, x, x[:, 0, 0], 8, loss="mse", batch_size=4, epochs=3, carry_state=True)


@pytest.mark.parametrize("rows", ["lazy", "exact"])
def test_tables_of_which_steps_touch_some_rows(rows: str) -> None:
    codes = np.random.default_rng(2).integers(0, 50, (ROWS, 2))
    target = codes.sum(axis=1) / 50.0

    def made() -> tuple[schuss.Network, schuss.Optimizer, schuss.Optimizer]:
        layers = [schuss.Input("codes", 2, dtype="int64"), schuss.Embedding(50, 4), schuss.Dense(1)]
        net = schuss.Network(layers, seed=3)
        return net, adam(net.parameters, rows=rows), sgd(net.parameters, lr=0.01, rows=rows)

    mine, first, second = made()
    used = schuss.Switch(first, second, at=STEPS + 4)
    mine.fit(codes, target, loss="mse", optimizer=used, epochs=3, batch_size=BATCH)
    net, first, second = made()
    for epoch in range(3):
        order = _core.permutation(ROWS, net.seed, epoch)
        for start in range(0, ROWS, BATCH):
            index = order[start : start + BATCH]
            if first.steps == STEPS + 4 and not second.steps:
                first.catch_up()
            net.train_step(codes[index], target[index], "mse", first if first.steps < STEPS + 4 else second)
    second.catch_up()
    assert [p.tobytes() for p in mine.parameters] == [p.tobytes() for p in net.parameters]


def test_train_step_takes_it() -> None:
    mine, theirs = network(), network()
    used, first, second = switch(mine, 14), adam(theirs.parameters), sgd(theirs.parameters)
    by_hand(mine, used, used, 10**6, 2)
    by_hand(theirs, first, second, 14, 2)
    assert bits(mine, used.first, used.second) == bits(theirs, first, second)


@pytest.mark.parametrize("threads", [1, 2])
def test_side_by_side(threads: int) -> None:
    alone, beside = [[network(seed=seed) for seed in range(4)] for _ in range(2)]
    places = [5, STEPS, 2 * STEPS + 1, 999]
    for net, at in zip(alone, places, strict=True):
        fitted(net, switch(net, at))
    given: dict[str, Any] = {"X": X, "y": Y, "loss": "cross_entropy", "batch_size": BATCH, "epochs": 3}
    with schuss.threads(threads):
        histories = schuss.fit_side_by_side(
            {"network": net, "optimizer": switch(net, at), **given} for net, at in zip(beside, places, strict=True)
        )
    for mine, theirs, history in zip(alone, beside, histories, strict=True):
        assert isinstance(history, schuss.History)
        a, b = mine.wrapper, theirs.wrapper
        assert isinstance(a, schuss.Switch) and isinstance(b, schuss.Switch)
        assert bits(mine, a.first, a.second) == bits(theirs, b.first, b.second)


@pytest.mark.parametrize("first", [schuss.Adam, schuss.ScheduleFreeAdamW])
@pytest.mark.parametrize("second", [schuss.SGD, schuss.ScheduleFreeSGD])
def test_parameters_are_the_result_after_each_epoch(first: Any, second: Any) -> None:
    """Of schedule-free ones that is the average: at the switch the second begins there."""
    net = network()
    used = switch(net, STEPS + 3, first, lambda params: second(params, lr=0.05))
    seen = []
    fitted(net, used, callbacks=[lambda record: seen.append(record.network.predict(X))])
    for optimizer in (used.first, used.second):
        assert getattr(optimizer, "training", False) is False
    np.testing.assert_array_equal(seen[-1], net.predict(X))
    again = network()
    other = switch(again, STEPS + 3, first, lambda params: second(params, lr=0.05))
    for _ in range(3):
        fitted(again, None if again.wrapper else other, epochs=1)
    np.testing.assert_allclose(again.predict(X), net.predict(X), rtol=1e-4, atol=1e-5)


# ---- schedules -------------------------------------------------------------------------------------------------------


def test_each_schedule_counts_its_own_steps() -> None:
    asked: dict[str, list[int]] = {"first": [], "second": []}

    def schedule(name: str) -> Callable[[int], float]:
        def rate(step: int) -> float:
            asked[name].append(step)
            return 0.01 / (1 + step)

        return rate

    net, at = network(), STEPS + 4
    first = adam(net.parameters, lr=schedule("first"))
    second = sgd(net.parameters, lr=schedule("second"), weight_decay=schedules.Linear(0.1, 2 * STEPS))
    for of in asked.values():
        of.clear()
    seen = []
    history = fitted(net, schuss.Switch(first, second, at=at), callbacks=[lambda record: seen.append(record.optimizer)])
    assert asked["first"] == list(range(at))
    assert asked["second"] == list(range(3 * STEPS - at))
    assert seen == [first, second, second]
    last = [STEPS - 1, 2 * STEPS - at - 1, 3 * STEPS - at - 1]
    np.testing.assert_allclose(history.lr, [0.01 / (1 + step) for step in last])
    assert first.param_groups[0]["lr"] == 0.01 / at
    assert second.param_groups[0]["lr"] == 0.01 / (3 * STEPS - at)
    assert second.param_groups[0]["weight_decay"] == pytest.approx(0.1 * (1 - (3 * STEPS - at - 1) / (2 * STEPS)))


def test_a_plateau_is_told_of_the_epochs_of_its_own_optimizer() -> None:
    """Of a loss that does not fall, with no patience: each epoch after its first halves its rate."""
    net = network()
    falling = {"factor": 0.5, "patience": 0, "monitor": "loss", "threshold": 1e6, "threshold_mode": "abs"}
    first = adam(net.parameters, lr=schedules.ReduceOnPlateau(0.01, **falling))
    second = sgd(net.parameters, lr=schedules.ReduceOnPlateau(0.04, **falling))
    history = fitted(net, schuss.Switch(first, second, at=2 * STEPS + 4), epochs=5)
    np.testing.assert_allclose(history.lr, [0.01, 0.01, 0.04, 0.04, 0.02])


def test_a_monitor_of_the_second_is_checked_before_anything_changes() -> None:
    net = network()
    before = bits(net)
    second = sgd(net.parameters, lr=schedules.ReduceOnPlateau(0.01, monitor="val_loss"))
    with pytest.raises(ValueError, match="monitor"):
        fitted(net, schuss.Switch(adam(net.parameters), second, at=20))
    assert bits(net) == before and net.optimizer is None


# ---- going on --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("epochs", [(1, 2), (2, 1), (1, 1, 1)])
@pytest.mark.parametrize("at", [4, STEPS, STEPS + 4, 2 * STEPS])
def test_fits_go_on(at: int, epochs: tuple[int, ...], tmp_path: Path) -> None:
    whole, parts = network(), network()
    fitted(whole, switch(whole, at))
    fitted(parts, switch(parts, at), epochs[0])
    for n in epochs[1:]:
        parts.save(tmp_path / "net.npz")
        parts = copy.deepcopy(pickle.loads(pickle.dumps(schuss.load(tmp_path / "net.npz"))))
        assert isinstance(parts.wrapper, schuss.Switch)
        fitted(parts, epochs=n)
    a, b = whole.wrapper, parts.wrapper
    assert isinstance(a, schuss.Switch) and isinstance(b, schuss.Switch)
    assert bits(whole, a.first, a.second) == bits(parts, b.first, b.second)


def test_what_a_later_fit_goes_on_with() -> None:
    net = network()
    used = switch(net, STEPS + 2)
    fitted(net, used, epochs=1)
    fitted(net, epochs=1, lr=0.002)  # of the one whose turn it is
    assert used.first.param_groups[0]["lr"] == 0.002 and used.second.param_groups[0]["lr"] == 0.05
    assert (used.first.steps, used.second.steps) == (STEPS + 2, STEPS - 2)
    fitted(net, "adam", epochs=1)  # which is another one than SGD: a new one alone
    assert net.wrapper is None and type(net.optimizer) is schuss.Adam and net.optimizer is not used.first
    fitted(net, used.second, epochs=1)
    assert net.wrapper is None and net.optimizer is used.second
    net = network()
    used = switch(net, STEPS + 2)
    fitted(net, used, epochs=1)
    fitted(net, "adam", epochs=2)  # of the same kind: that one alone, beyond the switch
    assert net.wrapper is None and net.optimizer is used.first and used.first.steps == 3 * STEPS
    with pytest.raises(ValueError, match="lr must be None"):
        fitted(net, used, lr=0.1)


def test_it_can_be_the_wrapper_of_a_loop_of_your_own(tmp_path: Path) -> None:
    net = network()
    used = switch(net, 14)
    net.wrapper = used
    by_hand(net, used, used, 10**6, 1)
    assert net.optimizer is used.first
    net.save(tmp_path / "before.npz")
    by_hand(net, used, used, 10**6, 1, begun=1)
    assert net.optimizer is used.second and net.wrapper is used
    other = schuss.load(tmp_path / "before.npz")
    assert isinstance(other.wrapper, schuss.Switch)
    by_hand(other, other.wrapper, other.wrapper, 10**6, 1, begun=1)
    assert bits(net, used.first, used.second) == bits(other, other.wrapper.first, other.wrapper.second)


def test_a_state_dict_goes_on() -> None:
    for at in (3, 6):
        params = [np.ones((4, 3)), np.ones(3)]
        used = schuss.Switch(schuss.Adam(params, lr=0.1), schuss.SGD(params, lr=0.2, momentum=0.9), at=at)
        for t in range(5):
            used.step(gradient(t))
        copies = [p.copy() for p in params]
        other = schuss.Switch(schuss.Adam(copies), schuss.SGD(copies, momentum=0.9), at=99)
        other.load_state_dict(copy.deepcopy(used.state_dict()))
        assert other.at == at
        for t in range(5, 9):
            used.step(gradient(t))
            other.step(gradient(t))
        assert [p.tobytes() for p in params] == [p.tobytes() for p in copies]


def test_accumulated_gradients_go_to_whose_turn_it_is() -> None:
    found = []
    for through_a_state in (False, True):
        params = [np.ones((4, 3)), np.ones(3)]
        used = schuss.Switch(schuss.Adam(params, lr=0.1), schuss.SGD(params, lr=0.2, momentum=0.9), at=2)
        gathered = schuss.Accumulate(used, 2)
        for t in range(9):
            gathered.step(gradient(t))
            if through_a_state and t in (2, 5):
                state, params = copy.deepcopy(gathered.state_dict()), [p.copy() for p in params]
                used = schuss.Switch(schuss.Adam(params), schuss.SGD(params, momentum=0.9), at=7)
                gathered = schuss.Accumulate(used, 2)
                gathered.load_state_dict(state)
        assert (used.first.steps, used.second.steps, gathered.pending) == (2, 2, 1)
        found.append([p.tobytes() for p in params])
    assert found[0] == found[1]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda state: {**state, "at": 0}, "state_dict's at must be"),
        (lambda state: {"first": state["first"], "at": 3}, "state_dict must be a dict with 'first', 'second' and 'at'"),
        (lambda state: {**state, "second": state["first"]}, r"state_dict['second']: "),
        (lambda state: {**state, "at": 9}, "state_dict['second'] must be an optimizer that has not stepped yet"),
        (lambda state: 3, "state_dict must be a dict"),
    ],
)
def test_a_state_that_does_not_fit_changes_nothing(change: Callable[[Any], Any], said: str) -> None:
    params = [np.ones((4, 3)), np.ones(3)]
    used = schuss.Switch(schuss.Adam(params, lr=0.1), schuss.SGD(params, lr=0.2, momentum=0.9), at=3)
    for t in range(5):
        used.step(gradient(t))
    before = repr(used.state_dict())
    with pytest.raises(ValueError, match=re.escape(said)):
        used.load_state_dict(change(used.state_dict()))
    assert repr(used.state_dict()) == before


def _own(found: dict[str, Any]) -> dict[str, Any]:
    return found["optimizer"]  # type: ignore[no-any-return]


DAMAGED: dict[str, tuple[Callable[[dict[str, Any]], Any], str]] = {
    "none beside it": (lambda found: _own(found).pop("beside"), "its array 'beside.0.optimizer.0.exp_avg' is une"),
    "an empty list": (lambda found: _own(found).update(beside=[]), "is unexpected"),
    "two": (lambda found: _own(found)["beside"].append(_own(found)["beside"][0]), "is missing"),
    "no list": (lambda found: _own(found).update(beside=3), "its header.optimizer.beside must be an array"),
    "no record": (lambda found: _own(found).update(beside=[3]), "its header.optimizer.beside[0] must be an object"),
    "one in it": (lambda found: _own(found)["beside"][0].update(beside=[]), "beside[0] must have kind"),
    "a wrapper in it": (lambda found: _own(found)["beside"][0].update(wrappers=[]), "beside[0] must have kind"),
    "no Switch": (lambda found: _own(found).update(wrappers=[]), "must have none beside it; got 1"),
    "another wrapper": (
        lambda found: _own(found).update(wrappers=[{"kind": "SAM", "numbers": {"rho": 0.1}, "arrays": {"before": 0}}]),
        "SAM must have no optimizer beside its own",
    ),
    "at": (lambda found: _own(found)["wrappers"][0]["numbers"].update(at=0), "at must be"),
    "a late at": (lambda found: _own(found)["wrappers"][0]["numbers"].update(at=99), "has not stepped yet"),
    "no truth": (lambda found: _own(found)["wrappers"][0]["numbers"].update(switched=1), "switched must be True or F"),
    "a lie": (
        lambda found: _own(found)["wrappers"][0]["numbers"].update(switched=False),
        "its first optimizer has made 18 steps; switched must be True",
    ),
    "its kind": (lambda found: _own(found)["beside"][0].update(kind="sdg"), "its optimizer 'sdg' is not known"),
    "its params": (lambda found: _own(found)["beside"][0]["groups"][0].update(params=[0, 1, 2, 3, 4]), "its order of"),
    "its steps": (lambda found: _own(found)["beside"][0].update(steps=-1), "beside[0].steps must be"),
}


def test_a_switch_without_another_optimizer_is_refused() -> None:
    net = network()
    fitted(net, switch(net, 15))
    parts = net.__getstate__()
    assert parts["optimizer"] is not None
    with pytest.raises(ValueError, match="a Switch must have one optimizer beside its own; got 0"):
        schuss.Network._of_parts({**parts, "optimizer": {**parts["optimizer"], "beside": ()}})


@pytest.mark.parametrize("what", DAMAGED)
def test_a_file_that_lies_is_refused(what: str, tmp_path: Path) -> None:
    net, path = network(), tmp_path / "net.npz"
    fitted(net, switch(net, 15))
    net.save(path)
    change, said = DAMAGED[what]
    rewritten(path, lambda found, content: change(found))
    with pytest.raises(ValueError, match=re.escape(said)):
        schuss.load(path)


# ---- what goes wrong -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("at", "epochs"), [(STEPS + 4, 3), (2 * STEPS, 4), (STEPS - 1, 3), (2 * STEPS + 1, 5)])
def test_divergence_after_the_switch_goes_back_before_it(at: int, epochs: int) -> None:
    """As if nothing had happened since the start of an epoch: so another switch goes on from there."""
    net = network()
    used = switch(net, at, second=lambda params: sgd(params, lr=1e30))
    states = {0: bits(net)}

    def keep(record: schuss.EpochRecord) -> None:
        states[record.epoch] = bits(net, used.first)

    with pytest.raises(schuss.DivergenceError) as raised:
        fitted(net, used, epochs, callbacks=[keep])
    done = net.epochs_done
    # One step of such a rate leaves finite parameters, of which the next loss is not finite.
    assert (raised.value.epoch, raised.value.batch) == ((at + 1) // STEPS + 1, (at + 1) % STEPS + 1)
    assert raised.value.lr == 1e30
    # Copies may be of an epoch before, where epochs are short.
    assert done <= at // STEPS
    assert used.second.steps == 0 and used.first.steps == done * STEPS
    assert not any(a.any() for named in used.second._states() for a in named.values())
    assert bits(net, *([used.first] if done else []))[: len(states[done])] == states[done]
    assert net.wrapper is used and net.optimizer is (used.second if used.switched else used.first)
    # From here on as if it had never been.
    used.second.param_groups[0]["lr"] = 0.05
    fitted(net, epochs=5 - done)
    wanted = network()
    other = switch(wanted, at)
    fitted(wanted, other, epochs=5)
    assert bits(net, used.first, used.second) == bits(wanted, other.first, other.second)


def test_divergence_in_a_later_epoch_goes_back_to_a_whole_one() -> None:
    net, at = network(), STEPS + 4
    used = switch(net, at, second=lambda params: sgd(params, lr=lambda step: 0.05 if step < 20 else 1e30))
    states = {0: bits(net, used.first, used.second)}

    def keep(record: schuss.EpochRecord) -> None:
        states[record.epoch] = bits(net, used.first, used.second)

    with pytest.raises(schuss.DivergenceError):
        fitted(net, used, 9, callbacks=[keep])
    assert bits(net, used.first, used.second) == states[net.epochs_done]


def test_divergence_side_by_side() -> None:
    nets = [network(), network()]
    switches = [switch(nets[0], STEPS + 4, second=lambda params: sgd(params, lr=1e30)), switch(nets[1], STEPS + 4)]
    given: dict[str, Any] = {"X": X, "y": Y, "loss": "cross_entropy", "batch_size": BATCH, "epochs": 3}
    found = schuss.fit_side_by_side(
        {"network": net, "optimizer": used, **given} for net, used in zip(nets, switches, strict=True)
    )
    assert isinstance(found[0], schuss.DivergenceError) and isinstance(found[1], schuss.History)
    assert nets[0].optimizer is switches[0].first and np.isfinite(nets[0].predict(X)).all()
    assert switches[0].steps == nets[0].epochs_done * STEPS


@pytest.mark.parametrize("when", ["in its schedule", "in the loss"])
def test_an_interrupt_around_the_switch_leaves_both_whole(when: str) -> None:
    net, at = network(), 4

    def interrupted(step: int) -> float:
        if when == "in its schedule" and armed:
            raise KeyboardInterrupt
        return 0.05

    def own(output: Any, target: Any) -> tuple[float, Any]:
        if when == "in the loss" and used.switched:
            raise KeyboardInterrupt
        return float((output**2).mean()), 2 * output / output.size

    armed = False
    used = switch(net, at, second=lambda params: sgd(params, lr=interrupted))
    armed = True
    with pytest.raises(KeyboardInterrupt):
        fitted(net, used, loss=own)
    assert (used.first.steps, used.second.steps) == (4, 0) and net.optimizer is used.second
    armed = False
    fitted(net, epochs=1)
    assert used.second.steps == STEPS and np.isfinite(net.predict(X)).all()


def test_wherever_a_step_is_interrupted_it_was_made_or_not() -> None:
    def begin() -> tuple[list[np.ndarray], schuss.Switch]:
        params = [np.ones((4, 3)), np.ones(3)]
        second = schuss.SWA(schuss.SGD(params, lr=0.1, momentum=0.9))
        return params, schuss.Switch(schuss.ScheduleFreeSGD(params, lr=0.5), second, at=2)

    def run_on(subject: tuple[list[np.ndarray], schuss.Switch], steps: int = 4) -> list[bytes]:
        params, used = subject
        while used.steps < steps:
            used.step(gradient(used.steps))
        return [a.tobytes() for a in (*params, *used.second._stepper.averages[0])]

    wanted = run_on(begin())

    def check(subject: tuple[list[np.ndarray], schuss.Switch]) -> None:
        assert run_on(subject) == wanted

    assert not broken(begin, run_on, check)


@pytest.mark.parametrize("at", [3, STEPS])
def test_wherever_a_fit_is_interrupted_all_is_of_one_step(at: int) -> None:
    theirs = network()
    first, second = adam(theirs.parameters), sgd(theirs.parameters)
    wanted = [bits(theirs, first, second)]
    for epoch in range(2):
        order = _core.permutation(ROWS, theirs.seed, epoch)
        for start in range(0, ROWS, BATCH):
            rows = order[start : start + BATCH]
            theirs.train_step(X[rows], Y[rows], "cross_entropy", first if first.steps < at else second)
            wanted.append(bits(theirs, first, second))

    def begin() -> tuple[schuss.Network, schuss.Switch]:
        net = network()
        return net, switch(net, at)

    def operation(subject: tuple[schuss.Network, schuss.Switch]) -> None:
        fitted(*subject, epochs=2)

    def check(subject: tuple[schuss.Network, schuss.Switch]) -> None:
        net, used = subject
        assert bits(net, used.first, used.second) == wanted[used.steps]
        assert used.steps >= net.epochs_done * STEPS
        assert net.optimizer is (used.optimizer if net.wrapper is not None else None)
        lr = used.second.param_groups[0]["lr"]
        assert lr == 0.05, lr

    fitted(network(), epochs=1)  # imports what it needs
    assert not broken(begin, operation, check)


WRONG: dict[str, tuple[Callable[[Any, Any], Any], type[Exception], str]] = {
    "no optimizer": (lambda a, b: schuss.Switch("adam", b, at=3), TypeError, "first must be an Optimizer; got 'adam'"),
    "a class": (lambda a, b: schuss.Switch(a, schuss.SGD, at=3), TypeError, "second must be an Optimizer; got"),
    "another wrapper": (lambda a, b: schuss.Switch(a, schuss.SAM(b), at=3), TypeError, "second must be an Optimizer"),
    "a switch": (
        lambda a, b: schuss.Switch(schuss.Switch(a, b, at=3), b, at=9),
        TypeError,
        "first must be an Optimizer; got Switch",
    ),
    "the same": (lambda a, b: schuss.Switch(a, a, at=3), ValueError, "second must be another optimizer than first"),
    "at 0": (lambda a, b: schuss.Switch(a, b, at=0), ValueError, "at must be"),
    "at 1.5": (lambda a, b: schuss.Switch(a, b, at=1.5), TypeError, "at must be"),
    "other arrays": (
        lambda a, b: schuss.Switch(a, schuss.SGD([np.ones((4, 3)), np.ones(3)]), at=3),
        ValueError,
        "second must be over the arrays that first is over; its array 0 is none of them",
    ),
    "fewer": (
        lambda a, b: schuss.Switch(a, schuss.SGD(a.param_groups[0]["params"][:1]), at=3),
        ValueError,
        "second must be over the 2 arrays that first is over; got 1",
    ),
    "an average of both": (lambda a, b: schuss.EMA(schuss.Switch(a, b, at=3)), TypeError, "optimizer must be an Opti"),
}


@pytest.mark.parametrize("what", WRONG)
def test_what_it_refuses(what: str) -> None:
    params = [np.ones((4, 3)), np.ones(3)]
    make, kind, said = WRONG[what]
    with pytest.raises(kind, match=re.escape(said)):
        make(schuss.Adam(params), schuss.SGD(params))


def test_a_second_that_has_stepped_is_refused() -> None:
    params = [np.ones(3)]
    first, second = schuss.Adam(params), schuss.SGD(params)
    second.step([np.ones(3)])
    with pytest.raises(ValueError, match="second must be an optimizer that has not stepped yet, as first has made 0"):
        schuss.Switch(first, second, at=3)
    for _ in range(3):
        first.step([np.ones(3)])
    assert schuss.Switch(first, second, at=3).switched  # it goes on


@pytest.mark.parametrize("which", ["first", "second"])
def test_fit_refuses_an_optimizer_of_other_parameters(which: str) -> None:
    net, other = network(), network()
    before = bits(net)
    with pytest.raises(ValueError, match=r"optimizer must be over net\.parameters"):
        fitted(net, switch(other, 4))
    groups = [{"params": [p], "lr": schedules.Linear(0.1, 9)} for p in net.parameters]
    good = adam(net.parameters)
    many = schuss.SGD(groups)
    pair = (many, good) if which == "first" else (good, many)
    with pytest.raises(ValueError, match="optimizer must have one schedule for all its groups"):
        fitted(net, schuss.Switch(*pair, at=4))
    with pytest.raises(TypeError, match="wrapper must be"):
        net.wrapper = 3  # type: ignore[assignment]
    assert bits(net) == before and net.optimizer is None


def test_words() -> None:
    params = [np.ones(3)]
    used = schuss.Switch(schuss.Adam(params), schuss.SGD(params), at=7)
    assert repr(used).startswith("Switch(at=7) from Adam([(3,)], lr=0.001") and "to SGD([(3,)]" in repr(used)
    assert used.param_groups is used.first.param_groups and used.left == 7
    with pytest.raises(TypeError, match="deepcopy"):
        copy.copy(used.first)
