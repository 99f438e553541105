"""What belongs to a network and to an optimizer stands in one list each, and goes through all that keeps them."""

from __future__ import annotations

import copy
import json
import pickle
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import schuss
from schuss import parts as of_networks
from schuss import schedules
from schuss.files.contents import WRAPPERS
from schuss.optim import BY_NAME
from schuss.optim import parts as of_optimizers
from schuss.optim.wrapper import Wrapper, innermost, layers
from schuss.schedules.base import told
from tests.network.file_cases import ENDINGS

ROOT = Path(__file__).parents[2]
COPIES: dict[str, Callable[[Any], Any]] = {
    "pickle": lambda made: pickle.loads(pickle.dumps(made)),
    "deepcopy": copy.deepcopy,
}


def data() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    return rng.normal(size=(60, 5)), rng.integers(0, 3, 60)


def network(dtype: str = "float32") -> schuss.Network:
    made = [schuss.Dense(5, 8), schuss.BatchNorm(), schuss.Dense(8, 8, "relu", dropout=0.2), schuss.Dense(8, 3)]
    return schuss.Network(made, seed=7, dtype=dtype)


def same(a: Any, b: Any, where: str = "") -> None:
    """Whether parts are equal, to the last bit."""
    assert type(a) is type(b) or isinstance(a, (list, tuple)), where
    if isinstance(a, dict):
        assert list(a) == list(b), where
        for key in a:
            same(a[key], b[key], f"{where}.{key}")
    elif isinstance(a, (list, tuple)):
        assert len(a) == len(b), where
        for k, (one, other) in enumerate(zip(a, b, strict=True)):
            same(one, other, f"{where}[{k}]")
    elif isinstance(a, np.ndarray):
        np.testing.assert_array_equal(a, b, err_msg=where)
        assert a.dtype == b.dtype, where
    elif isinstance(a, schuss.History) or type(a).__module__ == "schuss.structure":
        same(vars(a), vars(b), where)
    elif not isinstance(a, type(network)) and type(a).__name__ != "itemgetter":
        assert a == b, where


# ---- nothing is left out ---------------------------------------------------------------------------------------------

# What a constructor was given, of no meaning after it.
OF_CONSTRUCTION = {"Muon": {"_moves", "_adamw"}}
# Each field of what the core has: of which entries of the lists it is the place, or why it is none of them.
SETTLED = "made anew"
OF_STEPPER = {
    "params": "groups", "form": "form", "state_arrays": "states", "averages": "averages",
    "specs": "averages", "c_step": "steps", "memory_room": "memories", "kept": "precision",
    **dict.fromkeys(
        ["sums", "scratch", "level", "arenas", "state_names", "groups_read", "unscheduled",
         "numbers", "views", "n_views", "wants",
         "shapes", "spans", "n_spans", "elements", "number", "dtype", "segments", "arena_start", "arena_end", "busy",
         "given", "places", "disjoint", "asked", "n_absent", "settings", "state_shapes", "slots", "stored",
         "formats", "any_narrow", "any_stored",
         "rows_changes", "histories", "lasts"],  # rows that have missed steps make them before parts are asked for
        SETTLED,
    ),
}  # fmt: skip
OF_STEP = {
    "dtype": "groups", "n_groups": "groups", "n_segments": "groups", "groups": "groups", "memories": "memories",
    "segments": "states", "averages": "averages", "t": "steps", "clocks": "clocks", "n_clocks": "clocks",
    **dict.fromkeys(
        ["sums", "scratch", "threads", "scratch_each", "grad_scale", "clip_value", "clip_norm", "zero_grad",
         "check_first", "nonfinite", "grad_norm", "histories", "n_absent"],
        SETTLED,
    ),
}  # fmt: skip
OF_CLOCK = {"group": "order", "behind": "clocks", "present": SETTLED}
OF_MEMORY = dict.fromkeys(["step", "now", "before", "resting"], "memories")
OF_AVERAGE = dict.fromkeys(["kind", "start", "every", "weight"], "averages")
OF_NET = {
    "flat_parameters": "parameters", "parameters": "parameters", "flat_states": "states", "states": "states",
    "dtype": "dtype", "draws": "draws", "c_net": "seed",
    **dict.fromkeys(
        ["names", "state_names", "n_in", "n_out", "members", "input_names", "input_lists", "code_limits", "item",
         "arena_size", "most_dropout", "positions", "row_out", "state", "shaped", "most_times"],
        "layers",
    ),
    **dict.fromkeys(
        ["flat_gradients", "gradients", "feeds", "slab", "slabs_a_look", "training", "part_training", "inference",
         "partial", "n_partial", "partial_room", "targets", "bound", "behind", "forward_x", "busy"],
        SETTLED,
    ),
}  # fmt: skip


def fields_of_class(name: str) -> set[str]:
    """Names of the fields of an extension class, those of its base included."""
    sources = (ROOT / "src/schuss/core").glob("*.pxi")
    text = "\n".join(path.read_text(encoding="utf-8") for path in sources)
    head = re.search(rf"^cdef class {name}(?:\((\w+)\))?:", text, re.MULTILINE)
    assert head is not None
    body = re.split(r"^ +(?:def|cdef \w+) \w+\(", text[head.end() :], maxsplit=1, flags=re.MULTILINE)[0]
    found = fields_of_class(head[1]) if head[1] else set()
    for line in body.splitlines()[1:]:
        code = line.split("#")[0].strip()
        if code.startswith("cdef "):
            found |= {re.sub(r"\[.*", "", part).split()[-1].lstrip("*") for part in code.split(",")}
    return found


def fields_of_struct(name: str) -> set[str]:
    """Names of the fields of a struct of the core."""
    text = (ROOT / "csrc/schuss.h").read_text(encoding="utf-8")
    found = re.search(rf"struct {name} \{{(.*?)\n\}};", text, re.DOTALL)
    assert found is not None
    code = re.sub(r"/\*.*?\*/", "", found[1], flags=re.DOTALL)
    return {
        re.sub(r"\[.*", "", part).split()[-1].lstrip("*")
        for statement in code.split(";")
        if statement.strip()
        for part in statement.split(",")
    }


@pytest.mark.parametrize(
    ("found", "known", "entries"),
    [
        (fields_of_class("Stepper"), OF_STEPPER, of_optimizers.Parts),
        (fields_of_struct("schuss_clock"), OF_CLOCK, of_optimizers.Parts),
        (fields_of_struct("schuss_step"), OF_STEP, of_optimizers.Parts),
        (fields_of_struct("schuss_memory"), OF_MEMORY, of_optimizers.Parts),
        (fields_of_struct("schuss_average"), OF_AVERAGE, of_optimizers.Parts),
        (fields_of_class("Net"), OF_NET, of_networks.NetworkParts),
    ],
    ids=["Stepper", "schuss_clock", "schuss_step", "schuss_memory", "schuss_average", "Net"],
)
def test_fields_of_the_core_are_in_the_lists(found: set[str], known: dict[str, str], entries: Any) -> None:
    """A new field fails here until it is in a list, or it is said that it need not be."""
    assert found == set(known)
    assert set(known.values()) <= {*entries.__annotations__, SETTLED}


@pytest.mark.parametrize("kind", BY_NAME.values(), ids=BY_NAME)
def test_attributes_of_optimizers_are_in_the_list(kind: type[schuss.Optimizer]) -> None:
    optimizer = kind([np.ones((2, 2))])
    optimizer.step([np.ones((2, 2))])
    assert set(vars(optimizer)) - OF_CONSTRUCTION.get(kind.__name__, set()) == set(of_optimizers.ATTRIBUTES)
    assert set(vars(copy.deepcopy(optimizer))) == set(of_optimizers.ATTRIBUTES)
    entries = {entry for used in of_optimizers.ATTRIBUTES.values() for entry in used}
    assert entries == set(of_optimizers.Parts.__annotations__) == set(optimizer.__getstate__())
    # All that the core holds of states has a name.
    sizes = [sum(a.size for a in named.values()) for named in optimizer._states()]
    assert sizes == [sum(a.size for a in of if a is not None) for of in optimizer._stepper.states]


@pytest.mark.parametrize("kind", WRAPPERS.values(), ids=WRAPPERS)
def test_attributes_of_wrappers_are_in_their_lists(kind: type[Wrapper]) -> None:
    adam = schuss.Adam(np.ones(3))
    made: dict[str, Any] = {
        "Averaged": ("ema", 1, 1, 0.5),
        "Accumulate": (2,),
        "Switch": (schuss.SGD(adam.param_groups[0]["params"]),),
    }
    more = {"at": 3} if kind is schuss.Switch else {}
    wrapper = kind(adam, *made.get(kind.__name__, ()), **more)  # type: ignore[call-arg]
    own = wrapper._parts()
    assert tuple(own["numbers"]) == kind._numbers and tuple(own["arrays"]) == kind._lists
    derived = {"SAM": {"_params", "_uphill", "_before"}, "Accumulate": {"_sums", "_adding"}}
    counted = {"Accumulate": {"pending"}}.get(kind.__name__, set())  # by the core, in what is derived
    if kind is schuss.Switch:  # its own optimizer is one of two, of which the one that has made its steps is the first
        derived, counted = {"Switch": {"first", "second", "_places"}}, {"optimizer", "switched"}
    assert set(vars(wrapper)) == {"optimizer", *kind._numbers, *derived.get(kind.__name__, set())} - counted


def test_all_wrappers_are_known() -> None:
    def below(kind: type) -> set[type]:
        return {kind, *(found for child in kind.__subclasses__() for found in below(child))}

    assert below(Wrapper) - {Wrapper} == {kind for kind in WRAPPERS.values() if kind.__module__.startswith("schuss")}


def test_attributes_of_networks_are_in_the_list() -> None:
    net = network()
    net.fit(*data(), loss="cross_entropy", epochs=1)
    assert set(vars(net)) == set(of_networks.ATTRIBUTES)
    entries = {entry for used in of_networks.ATTRIBUTES.values() for entry in used}
    assert entries == set(of_networks.NetworkParts.__annotations__) == set(net.__getstate__())
    assert set(of_networks.BoundOptimizer.__annotations__) == set(net.__getstate__()["optimizer"] or ())
    # What a file has of a history is all that it has.
    assert set(vars(net.history)) == {"_columns", "_epochs", "_times", "_lr", "_monitor", "stopped", "recoveries"}


@pytest.mark.parametrize("ending", ENDINGS)
def test_a_file_holds_all_parts(tmp_path: Path, ending: str) -> None:
    net = network()
    params = net.named_parameters()
    adam = schuss.AdamW({"params": params, "weight_decay": 0.1}, lr=schedules.Cosine(0.01, 100), no_decay="*.bias")
    net.fit(
        *data(), loss="cross_entropy", optimizer=schuss.EMA(schuss.Lookahead(adam, k=3)), epochs=2, early_stopping=None
    )
    net.metadata = {"a": [1, None]}
    net.save(tmp_path / f"net{ending}")
    other = schuss.load(tmp_path / f"net{ending}")
    same(net.__getstate__(), other.__getstate__())
    # In the form in which parameters were given, gradients are taken.
    assert other.optimizer is not None
    other.optimizer.step({name: np.zeros_like(p) for name, p in params.items()})


# ---- n epochs and n epochs are 2 n -----------------------------------------------------------------------------------


def switch(first: Any, at: int, averaged: bool = False) -> schuss.Switch:
    """To another kind, over the same arrays."""
    params = innermost(first)._stepper.params
    second = schuss.SGD(params, lr=schedules.Linear(0.05, 20), momentum=0.9, nesterov=True)
    return schuss.Switch(first, schuss.SWA(second) if averaged else second, at=at)


OPTIMIZERS: dict[str, Callable[[Any], schuss.Optimizer]] = {
    "sgd": lambda p: schuss.SGD(p, lr=0.05, momentum=0.9),
    "adamw": lambda p: schuss.AdamW(p, lr=schedules.WarmUp(5, schedules.ReduceOnPlateau(0.01, patience=0))),
    "muon": lambda p: schuss.Muon(p, adamw={"lr": 0.01}),
    "soap": lambda p: schuss.SOAP(p, precondition_frequency=3),
    "prodigy": lambda p: schuss.Prodigy(p),
    "schedule_free": lambda p: schuss.ScheduleFreeAdamW(p, lr=0.01),
}
NESTINGS: dict[str, Callable[[schuss.Optimizer], Any]] = {
    "bare": lambda opt: opt,
    "EMA": lambda opt: schuss.EMA(opt, 0.9),
    "SWA": lambda opt: schuss.SWA(opt, start=3, every=2),
    "Lookahead": lambda opt: schuss.Lookahead(opt, k=3),
    "EMA of Lookahead": lambda opt: schuss.EMA(schuss.Lookahead(opt, k=5), 0.8),
    "Lookahead of SWA": lambda opt: schuss.Lookahead(schuss.SWA(opt), k=4, alpha=0.3),
    "Switch before it is copied": lambda opt: switch(opt, at=4),
    "Switch where it is copied": lambda opt: switch(opt, at=14),
    "Switch after it is copied": lambda opt: switch(opt, at=17),
}
WAYS = [*ENDINGS, *COPIES]


def through(way: str, net: schuss.Network, folder: Path) -> schuss.Network:
    if way in COPIES:
        return COPIES[way](net)  # type: ignore[no-any-return]
    net.save(folder / f"net{way}")
    return schuss.load(folder / f"net{way}")


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("nesting", NESTINGS)
@pytest.mark.parametrize("kind", OPTIMIZERS)
def test_fits(tmp_path: Path, kind: str, nesting: str, way: str) -> None:
    def begun() -> schuss.Network:
        net = network()
        net.fit(X, y, optimizer=NESTINGS[nesting](OPTIMIZERS[kind](net.parameters)), epochs=2, **arguments)
        return net

    X, y = data()
    arguments: dict[str, Any] = {"loss": "cross_entropy", "batch_size": 7, "validation_fraction": 0.2}
    whole, first = begun(), begun()
    second = through(way, first, tmp_path)
    assert type(second.wrapper) is type(first.wrapper)
    assert (second.wrapper is None) == (nesting == "bare")
    for net in (whole, second):
        net.fit(X, y, epochs=2, **arguments)
    second.history._times = whole.history._times
    same(whole.__getstate__(), second.__getstate__())
    if isinstance(second.wrapper, schuss.EMA):
        with second.wrapper.applied():
            ema = [p.copy() for p in second.parameters]
        same(ema, whole.wrapper.averages)  # type: ignore[union-attr]


OF_LOOPS: dict[str, Callable[[schuss.Optimizer], Any]] = {
    **NESTINGS,
    "SAM": lambda opt: schuss.SAM(opt, rho=0.1),
    "SAM of EMA": lambda opt: schuss.SAM(schuss.EMA(opt, 0.7)),
    "Accumulate": lambda opt: schuss.Accumulate(opt, 3),
    "Accumulate of Lookahead": lambda opt: schuss.Accumulate(schuss.Lookahead(opt, k=2), 3, mean=False),
    "Switch to an average": lambda opt: switch(schuss.EMA(opt), at=5, averaged=True),
    "SAM of Switch": lambda opt: schuss.SAM(switch(opt, at=3)),
    "Accumulate of Switch": lambda opt: schuss.Accumulate(switch(opt, at=3), 2),
}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("nesting", OF_LOOPS)
def test_loops(tmp_path: Path, nesting: str, way: str) -> None:
    """From the middle of an accumulation, and from uphill, too."""

    def step(net: schuss.Network, stepper: Any, k: int) -> None:
        net.loss_and_gradients(X[k : k + 8], y[k : k + 8], "cross_entropy")
        if isinstance(stepper, schuss.SAM):
            (stepper.first_step if k % 2 == 0 else stepper.second_step)(net.gradients)
        else:
            stepper.step(net.gradients)

    X, y = data()
    nets = [network("float64"), network("float64")]
    steppers = [OF_LOOPS[nesting](schuss.Adam(net.parameters, lr=0.05)) for net in nets]
    for k in range(5):
        for net, stepper in zip(nets, steppers, strict=True):
            step(net, stepper, k)
    if nesting == "bare":
        nets[1].optimizer = steppers[1]
    else:
        nets[1].wrapper = steppers[1]
    nets[1] = through(way, nets[1], tmp_path)
    steppers[1] = nets[1].optimizer if nesting == "bare" else nets[1].wrapper
    assert type(steppers[1]) is type(steppers[0])
    assert [type(found) for found in layers(steppers[1])] == [type(found) for found in layers(steppers[0])]
    for k in range(5, 12):
        for net, stepper in zip(nets, steppers, strict=True):
            step(net, stepper, k)
    same(*(net._parts_with(stepper) for net, stepper in zip(nets, steppers, strict=True)))


@pytest.mark.parametrize("how", COPIES)
@pytest.mark.parametrize("nesting", OF_LOOPS)
def test_wrappers_without_a_network(nesting: str, how: str) -> None:
    def step(stepper: Any, t: int) -> None:
        grads = [np.random.default_rng(t).normal(size=(4, 3))]
        if isinstance(stepper, schuss.SAM):
            stepper.first_step(grads)
            stepper.second_step(grads)
        else:
            stepper.step(grads)

    mine = OF_LOOPS[nesting](schuss.AdamW([np.ones((4, 3))], lr=0.1))
    for t in range(4):
        step(mine, t)
    other = COPIES[how](mine)
    for t in range(4, 9):
        step(mine, t)
        step(other, t)
    same(innermost(mine).__getstate__(), innermost(other).__getstate__())


def test_a_wrapper_copied_with_its_network_is_bound_to_the_copy() -> None:
    net = network()
    ema = schuss.EMA(schuss.Adam(net.parameters))
    net.fit(*data(), loss="cross_entropy", optimizer=ema, epochs=1)
    new, own = copy.deepcopy((net, ema))
    assert new.wrapper is own and own.optimizer is new.optimizer
    assert new.optimizer.param_groups[0]["params"][0] is new.parameters[0]


def test_the_wrapper_of_a_network() -> None:
    X, y = data()
    net = network()
    ema = schuss.EMA(schuss.Adam(net.parameters))
    seen: list[Any] = []
    callbacks = [lambda record: seen.append(record.network.wrapper)]
    net.fit(X, y, loss="cross_entropy", optimizer=ema, epochs=1, callbacks=callbacks)
    assert seen == [ema] and net.wrapper is ema and net.optimizer is ema.optimizer
    net.fit(X, y, loss="cross_entropy", epochs=1)
    assert net.wrapper is ema
    swa = schuss.SWA(schuss.SGD(net.parameters, lr=0.1))
    with pytest.raises(ValueError, match="epochs"):
        net.fit(X, y, loss="cross_entropy", optimizer=swa, epochs=0)
    assert net.wrapper is ema
    net.fit(X, y, loss="cross_entropy", optimizer="sgd", epochs=1)
    assert net.wrapper is None
    net.wrapper = sam = schuss.SAM(swa)
    assert net.wrapper is sam and net.optimizer is swa.optimizer
    for wrong in (schuss.EMA(schuss.Adam(np.ones(3, np.float32))), swa.optimizer, "EMA"):
        with pytest.raises((ValueError, TypeError), match=r"optimizer|wrapper"):
            net.wrapper = wrong  # type: ignore[assignment]
    assert net.wrapper is sam
    net.wrapper = None
    assert net.wrapper is None and net.optimizer is swa.optimizer


def test_other_wrappers_and_optimizers_are_refused_by_name(tmp_path: Path) -> None:
    class Own(schuss.EMA):
        pass

    class Other(schuss.Adam):
        pass

    net = network()
    for given, name in ((Own(schuss.Adam(net.parameters)), "Own"), (Other(net.parameters), "Other")):
        with pytest.raises(ValueError, match=f"to be saved; got {name}"):
            net.save(tmp_path / "net.npz", given)
    assert list(tmp_path.iterdir()) == []


# ---- state_dict ------------------------------------------------------------------------------------------------------

# Where a state_dict has each part; the arrays themselves, their form and order are the optimizer's that loads it.
IN_STATE_DICT = {
    "groups": ("param_groups", "schedules"), "order": ("param_groups",), "form": (), "steps": ("state",),
    "clocks": ("state",), "precision": (),
    "memories": ("state", "param_groups"), "states": ("state",), "averages": ("averages",),
}  # fmt: skip


def test_a_state_dict_has_a_place_for_every_part() -> None:
    assert set(IN_STATE_DICT) == set(of_optimizers.Parts.__annotations__)
    optimizer = schuss.Adam(np.ones(3), lr=schedules.Cosine(0.1, 10))
    schuss.EMA(optimizer)
    assert {key for keys in IN_STATE_DICT.values() for key in keys} == set(optimizer.state_dict())
    assert set(schuss.Adam(np.ones(3)).state_dict()) == {"state", "param_groups"}


@pytest.mark.parametrize("kind", [*BY_NAME, "lbfgs"])
def test_states_go_on_with_their_schedule_and_averages(kind: str) -> None:
    """A resumed optimizer is the one that went on, whatever of it is new."""

    def made() -> tuple[list[np.ndarray], Any]:
        params = [np.linspace(-1, 1, 12).reshape(3, 4)]
        return params, (schuss.LBFGS(params) if kind == "lbfgs" else BY_NAME[kind](params))

    def step(params: list[np.ndarray], optimizer: Any) -> None:
        grads = [2 * params[0] + 0.1]
        if kind == "lbfgs":
            optimizer.step(lambda: (float((params[0] ** 2 + 0.1 * params[0]).sum()), [2 * params[0] + 0.1]))
        else:
            optimizer.step(grads)

    (params, mine), (there, other) = made(), made()
    schedule = schedules.WarmUp(3, schedules.ReduceOnPlateau(0.01))
    for group in mine.param_groups:
        group["schedule"] = schedule
    if kind != "lbfgs":
        schuss.Lookahead(mine, k=2)
    for _ in range(5):
        step(params, mine)
    told(schedule)[0].report(1.0)
    there[0][...] = params[0]
    state = mine.state_dict()
    state["schedules"] = json.loads(json.dumps(state["schedules"]))
    other.load_state_dict(state)
    assert other.param_groups[0]["schedule"] == schedule
    assert told(other.param_groups[0]["schedule"])[0].state.reports == 1
    for _ in range(5):
        step(params, mine)
        step(there, other)
    same(params, there)
    if kind != "lbfgs":
        same(mine.__getstate__(), other.__getstate__())


def test_states_without_schedules_leave_them() -> None:
    function = lambda step: 0.1  # noqa: E731
    for mine in (schedules.Cosine(0.1, 10), function):
        optimizer = schuss.SGD(np.ones(3), lr=mine)
        optimizer.load_state_dict(schuss.SGD(np.ones(3), lr=0.5).state_dict())
        assert optimizer.param_groups[0]["schedule"] is mine
        # A function is no data: its present value is in the state, and the one who loads it has his own.
        optimizer.load_state_dict(schuss.SGD(np.ones(3), lr=lambda step: 0.25).state_dict())
        assert optimizer.param_groups[0]["schedule"] is mine and optimizer.param_groups[0]["lr"] == 0.25


def test_states_with_parts_that_do_not_fit_change_nothing() -> None:
    optimizer = schuss.SGD(np.ones(3), lr=schedules.Cosine(0.1, 10), momentum=0.9)
    schuss.EMA(optimizer)
    optimizer.step(np.ones(3))
    good, before = optimizer.state_dict(), copy.deepcopy(optimizer.state_dict())
    average, table = good["averages"][0], good["schedules"]["table"]
    for key, value in (
        ("schedules", 5),
        ("schedules", {"table": table}),
        ("schedules", {"table": table, "places": [1]}),
        ("schedules", {"table": table, "places": [0, 0]}),
        ("schedules", {"table": [{"kind": "Cosine"}], "places": [0]}),
        ("schedules", {"table": [{"kind": "eval", "arguments": {}}], "places": [0]}),
        ("averages", 5),
        ("averages", [5]),
        ("averages", [average, average]),
        ("averages", [{**average, "kind": "mean"}]),
        ("averages", [{**average, "start": 0}]),
        ("averages", [{**average, "every": 1.5}]),
        ("averages", [{**average, "weight": float("nan")}]),
        ("averages", [{**average, "arrays": [np.ones(4)]}]),
        ("state", {0: {**good["state"][0], "step": float("inf")}}),
        ("state", {0: {**good["state"][0], "step": float("nan")}}),
        ("state", {0: {**good["state"][0], "step": 2.0**60}}),
    ):
        with pytest.raises((ValueError, TypeError), match=r"state_dict|schedule"):
            optimizer.load_state_dict({**good, key: value})
        np.testing.assert_equal(optimizer.state_dict(), before)


# ---- the copy for divergence -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("nesting", NESTINGS)
@pytest.mark.parametrize("kind", OPTIMIZERS)
def test_divergence_leaves_every_part_of_an_epochs_start(kind: str, nesting: str) -> None:
    """All of the network's and the optimizer's parts are those of a twin that stopped before that epoch."""
    X, y = (np.repeat(array, 50, axis=0) for array in data())  # short epochs are not kept each
    values = np.eye(3)[y]
    arguments: dict[str, Any] = {"loss": "mse", "batch_size": 30}

    def spoil(record: schuss.EpochRecord) -> None:
        if record.epoch == 2:
            for group in record.optimizer.param_groups:
                group.update(lr=1e30, schedule=None)

    nets = [network(), network()]
    made = [NESTINGS[nesting](OPTIMIZERS[kind](net.parameters)) for net in nets]
    with pytest.raises(schuss.DivergenceError):
        nets[0].fit(X, values, optimizer=made[0], epochs=3, callbacks=[spoil], **arguments)
    assert nets[0].epochs_done in (1, 2)
    nets[1].fit(X, values, optimizer=made[1], epochs=nets[0].epochs_done, **arguments)
    optimizers = [innermost(stepper) for stepper in made]
    if kind == "schedule_free":  # going to the average and back moves last bits
        for a, b in zip(*(net.parameters for net in nets), strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-6, atol=1e-7)
            a[...] = b
    # A step that was begun is remembered beside the state before it, so it is looked at what comes of both.
    for mine, theirs in zip(*(optimizer.param_groups for optimizer in optimizers), strict=True):
        mine.update(lr=theirs["lr"], schedule=copy.deepcopy(theirs["schedule"]))
    for net in nets:
        net.history = schuss.History()  # it tells what was
        net.fit(X, values, epochs=1, **arguments)
        net.history._times = []
    same(*(net.__getstate__() for net in nets))
