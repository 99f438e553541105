"""rows="exact": what rows miss is made up for, with the bits of dense steps or within what is promised."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from numpy.typing import NDArray

import schuss
from tests.reference.rule_cases import Case

Array = NDArray[Any]

CASES = [
    Case("SGD", {"lr": 0.1}),
    Case("SGD", {"lr": 0.1, "maximize": True, "weight_decay": 0.1}),
    Case("SGD", {"lr": 0.1, "momentum": 0.9, "dampening": 0.3}),
    Case("SGD", {"lr": 0.1, "momentum": 0.9, "nesterov": True, "weight_decay": 0.03}),
    Case("SGD", {"lr": 0.1, "momentum": 0.9, "nesterov": True, "dialect": "keras", "weight_decay": 0.1}),
    Case("AdaGrad", {"lr": 0.1, "lr_decay": 0.07}),
    Case("AdaGrad", {"lr": 0.1, "weight_decay": 0.1, "maximize": True}),
    Case("AdaGrad", {"lr": 0.1, "weight_decay": 0.1, "dialect": "keras"}),
    Case("AdaGrad", {"lr": 0.1, "eps": 0.0, "initial_accumulator_value": 0.1}),
    Case("RowAdaGrad", {"lr": 0.1, "lr_decay": 0.01}),
    Case("RowAdaGrad", {"lr": 0.1, "weight_decay": 0.1}),
    Case("RMSProp", {"lr": 0.1}),
    Case("RMSProp", {"lr": 0.1, "momentum": 0.7, "centered": True}),
    Case("RMSProp", {"lr": 0.1, "momentum": 0.7, "dialect": "keras", "weight_decay": 0.1}),
    Case("Adam", {"lr": 0.1}),
    Case("Adam", {"lr": 0.1, "amsgrad": True, "maximize": True, "betas": (0.5, 0.9)}),
    Case("Adam", {"lr": 0.1, "weight_decay": 0.1}),
    Case("Adam", {"lr": 0.1, "betas": (0.9, 0.5), "eps": 1e-3, "dialect": "keras", "weight_decay": 0.1}),
    Case("AdamW", {"lr": 0.1, "weight_decay": 0.3}),
    Case("AdamW", {"lr": 0.1, "weight_decay": 0.3, "amsgrad": True, "maximize": True}),
    Case("FTRL", {"lr": 0.1, "l1": 0.03, "l2": 0.01, "beta": 0.5}),
    Case("FTRL", {"lr": 0.1, "l2_shrinkage": 0.1, "lr_power": -0.7}),
    Case("Lion", {"lr": 0.01}),
    Case("Lion", {"lr": 0.01, "betas": (0.8, 0.9), "weight_decay": 0.3, "maximize": True}),
]
# For them a step without a gradient changes nothing, or the last such step says all.
SAME_BITS_ALWAYS = [CASES[0], CASES[5], CASES[9], CASES[20]]
# They have no closed form.
STEP_BY_STEP = [CASES[6], CASES[8], CASES[10], CASES[16], CASES[21]]
SIZES = {"float32": 2.0**-24, "float64": 2.0**-53}
dtypes = pytest.mark.parametrize("dtype", ["float32", "float64"])
cases = pytest.mark.parametrize("case", CASES, ids=str)


class Pair:
    """An optimizer over all rows, and one over given rows that makes up for the others."""

    def __init__(self, case: Case, shape: tuple[int, ...], dtype: str, **options: Any) -> None:
        rng = np.random.default_rng(5)
        self.dense, self.sparse = (rng.normal(size=shape).astype(dtype) for _ in range(2))
        self.sparse[...] = self.dense
        kind = getattr(schuss, case.optimizer)
        options = {**case.options, **options}
        self.of_dense, self.of_sparse = kind(self.dense, **options), kind(self.sparse, **options, rows="exact")

    def step(self, rows: Any, values: Array, **stages: Any) -> None:
        whole = np.zeros_like(self.dense)
        whole[rows] = values
        self.of_dense.step([whole], **stages)
        self.of_sparse.step([schuss.Rows(rows, values)], **stages)

    def idle(self, steps: int) -> None:
        """Steps without a gradient."""
        nothing = schuss.Rows(np.empty(0), np.empty((0, *self.dense.shape[1:]), self.dense.dtype))
        zeros = np.zeros_like(self.dense)
        for _ in range(steps):
            self.of_dense.step([zeros])
            self.of_sparse.step([nothing])

    def check(self) -> None:
        states = self.of_sparse._states()[0]
        bits = self.dense.dtype.name.replace("float", "uint")
        assert_array_equal(self.sparse.view(bits), self.dense.view(bits))
        for name, state in self.of_dense._states()[0].items():
            assert_array_equal(states[name].view(bits), state.view(bits), err_msg=name)

    def check_close(self, roundings: int) -> None:
        states = self.of_sparse._states()[0]
        size = SIZES[self.dense.dtype.name]
        for name, wanted in {"parameters": self.dense, **self.of_dense._states()[0]}.items():
            got = self.sparse if name == "parameters" else states[name]
            scale = np.abs(wanted).max() if case_is_linear(self.of_dense) else np.abs(wanted)
            # 1e-36: a running mean of float32 ends where a tenth of it is less than the smallest number.
            assert (np.abs(got - wanted) <= roundings * size * scale + 1e-36).all(), name


def case_is_linear(opt: Any) -> bool:
    """Whether parameters and momenta go into one another."""
    return isinstance(opt, schuss.SGD)


def values(rng: np.random.Generator, rows: Array, like: Array) -> Array:
    return rng.normal(size=(len(rows), *like.shape[1:])).astype(like.dtype)


def schedule(t: int) -> float:
    return 0.1 / (1 + t % 7)


@dtypes
@cases
@pytest.mark.parametrize("dim", [1, 3, 16, 17, 64, 1500])
def test_same_bits_as_dense_steps(case: Case, dtype: str, dim: int) -> None:
    """Gaps from none to all of the steps, with a rate and a decay that change."""
    more: dict[str, Any] = {} if case.optimizer == "FTRL" else {"lr": schedule}
    if case.options.get("weight_decay"):
        more["weight_decay"] = lambda t: 0.3 / (1 + t % 5)
    pair = Pair(case, (12, dim), dtype, **more)
    rng = np.random.default_rng(dim)
    for t in range(40):
        rows = np.flatnonzero(rng.random(11) < rng.choice([0, 0.05, 0.5]))
        pair.step(rows, values(rng, rows, pair.dense))
        if t % 13 == 12:
            some = np.array([5, 0, 3])
            pair.of_sparse.catch_up(some)
            assert_array_equal(pair.sparse[some], pair.dense[some])
    pair.check()


@pytest.mark.parametrize("case", [CASES[3], CASES[10], CASES[14], CASES[20], CASES[23]], ids=str)
def test_same_bits_on_every_isa(case: Case, each_isa: Callable[[], Iterator[str]]) -> None:
    for _ in each_isa():
        pair = Pair(case, (50, 5), "float32")
        rng = np.random.default_rng(1)
        for _ in range(30):
            rows = np.unique(rng.integers(0, 50, 4))
            pair.step(rows, values(rng, rows, pair.dense))
        pair.check()


@cases
def test_1024_missed_steps_have_the_bits(case: Case) -> None:
    pair = Pair(case, (4, 3), "float32")
    rng = np.random.default_rng(2)
    rows = np.arange(4)
    pair.step(rows, values(rng, rows, pair.dense))
    pair.step([0], values(rng, rows[:1], pair.dense))
    pair.idle(1022)
    pair.step([0, 2], values(rng, rows[:2], pair.dense))
    pair.check()


@dtypes
@cases
def test_more_missed_steps(case: Case, dtype: str) -> None:
    options: dict[str, Any] = {}
    if case.options.get("weight_decay", case.optimizer == "AdamW"):
        options["weight_decay"] = 1e-3
    pair = Pair(case, (4, 3), dtype, **options)
    rng = np.random.default_rng(3)
    rows = np.arange(4)
    for _ in range(3):
        pair.step(rows, values(rng, rows, pair.dense))
    gap = 3000
    pair.idle(gap)
    if case in SAME_BITS_ALWAYS or case in STEP_BY_STEP:
        pair.check()
    else:
        pair.check_close(gap)
        assert not np.array_equal(pair.sparse, np.zeros_like(pair.sparse))


def test_what_is_left_of_momenta_counts() -> None:
    """A momentum of 0.999 moves parameters for tens of thousands of steps."""
    for case in (Case("SGD", {"lr": 1e-3, "momentum": 0.999}), Case("Adam", {"lr": 1e-4, "betas": (0.99, 0.9999)})):
        pair = Pair(case, (2, 3), "float32")
        pair.step([0, 1], np.ones((2, 3), np.float32))
        pair.idle(12000)
        if case.optimizer == "SGD":
            pair.check_close(12000)
        else:
            pair.of_sparse.catch_up()
            np.testing.assert_allclose(pair.sparse, pair.dense, rtol=1e-6)


def test_a_history_that_is_full_begins_anew() -> None:
    case = Case("SGD", {"lr": 1e-3, "momentum": 0.5, "weight_decay": 1e-3})
    pair = Pair(case, (3, 1), "float64")
    pair.step([0, 1], np.ones((2, 1)))
    pair.idle(65540)
    pair.check_close(65540)
    pair.step([1], np.ones((1, 1)))
    pair.check_close(65540)


@dtypes
@pytest.mark.parametrize("threads", [1, 2, 3])
def test_many_rows_over_threads(dtype: str, threads: int, set_threads: Callable[[int], None]) -> None:
    set_threads(threads)
    for case in (CASES[12], CASES[18], CASES[10]):
        pair = Pair(case, (5000, 17), dtype)
        rng = np.random.default_rng(4)
        for _ in range(6):
            rows = np.unique(rng.integers(0, 5000, 2000))
            pair.step(rows, values(rng, rows, pair.dense))
        pair.check()


def test_far_rows_have_the_same_bits_for_any_number_of_threads(set_threads: Callable[[int], None]) -> None:
    found = []
    for threads in (1, 2, 3):
        set_threads(threads)
        pair = Pair(Case("AdamW", {"lr": 1e-3}), (3000, 9), "float32")
        rng = np.random.default_rng(6)
        for _ in range(4):
            rows = np.unique(rng.integers(0, 3000, 700))
            pair.of_sparse.step([schuss.Rows(rows, values(rng, rows, pair.dense))])
        for _ in range(1500):
            pair.of_sparse.step([schuss.Rows([7], np.ones((1, 9), np.float32))])
        pair.of_sparse.catch_up()
        found.append((pair.sparse, pair.of_sparse._states()[0]["exp_avg_sq"]))
    for one in found[1:]:
        for a, b in zip(one, found[0], strict=True):
            assert_array_equal(a, b)


@pytest.mark.parametrize("shape", [(6,), (6, 2, 3), (6, 1, 1, 2)])
def test_arrays_of_any_dimension(shape: tuple[int, ...]) -> None:
    for case in (CASES[3], CASES[9], CASES[10], CASES[18]):
        pair = Pair(case, shape, "float64")
        rng = np.random.default_rng(7)
        for _ in range(20):
            rows = np.unique(rng.integers(0, 6, 2))
            pair.step(rows, values(rng, rows, pair.dense))
        pair.check()


def test_dense_gradients_in_between_and_rows_that_come_twice() -> None:
    pair = Pair(Case("Adam", {"lr": 0.1}), (7, 4), "float32")
    rng = np.random.default_rng(8)
    for t in range(12):
        rows = np.array([3, 1, 3])
        given = values(rng, rows, pair.dense)
        whole = np.zeros_like(pair.dense)
        np.add.at(whole, rows, given)
        pair.of_dense.step([whole])
        pair.of_sparse.step([schuss.Rows(rows, given)] if t % 4 else [whole.copy()])
    pair.check()


@pytest.mark.parametrize("stages", [{"clip_value": 0.3}, {"grad_scale": -0.3}, {"zero_grad": True}], ids=str)
def test_stages(stages: dict[str, Any]) -> None:
    for case in (CASES[3], CASES[9], CASES[13], CASES[18], CASES[22]):
        pair = Pair(case, (9, 5), "float32")
        rng = np.random.default_rng(9)
        for _ in range(15):
            rows = np.unique(rng.integers(0, 9, 3))
            pair.step(rows, values(rng, rows, pair.dense), **stages)
        pair.check()


def test_clip_norm() -> None:
    pair = Pair(Case("Adam", {"lr": 0.1}), (9, 5), "float64")
    rng = np.random.default_rng(9)
    for _ in range(15):
        rows = np.unique(rng.integers(0, 9, 3))
        pair.step(rows, values(rng, rows, pair.dense), clip_norm=0.5)
    pair.of_sparse.catch_up()
    np.testing.assert_allclose(pair.sparse, pair.dense, rtol=1e-12)


def test_a_step_that_is_not_made() -> None:
    pair = Pair(Case("Adam", {"lr": 0.1}), (5, 2), "float64")
    pair.step([1], np.ones((1, 2)))
    pair.step([2], np.ones((1, 2)))
    bad = schuss.Rows([1], np.full((1, 2), np.nan))
    with pytest.raises(schuss.DivergenceError):
        pair.of_sparse.step([bad], on_nonfinite="raise")
    pair.of_sparse.step([bad], on_nonfinite="skip")
    pair.step([1], np.ones((1, 2)))
    pair.check()


def several(dtype: str, **options: Any) -> tuple[list[Array], Any]:
    """Two tables and a vector in three groups of other rules' numbers, of which the second is exact."""
    params = [np.ones((6, 3), dtype), np.ones((5, 2), dtype), np.ones(4, dtype)]
    groups = [{"params": [params[0]]}, {"params": [params[1]], **options}, {"params": [params[2]], "betas": (0.5, 0.9)}]
    return params, schuss.AdamW(groups, lr=0.1)


def test_groups() -> None:
    found = []
    for options in ({}, {"rows": "exact"}):
        params, opt = several("float32", **options)
        rng = np.random.default_rng(10)
        for t in range(30):
            whole, own, rest = (rng.normal(size=p.shape).astype(np.float32) for p in params)
            given: Any = np.zeros_like(own)
            given[t % 5] = own[t % 5]
            opt.step([whole, schuss.Rows([t % 5], own[t % 5 : t % 5 + 1]) if options else given, rest])
        opt.catch_up()
        found.append(params)
    for a, b in zip(*found, strict=True):
        assert_array_equal(a, b)


@pytest.mark.parametrize("case", [CASES[3], CASES[9], CASES[10], CASES[12], CASES[18], CASES[20], CASES[23]], ids=str)
@pytest.mark.parametrize("way", ["state_dict", "pickle", "deepcopy"])
def test_stopped_and_resumed(case: Case, way: str) -> None:
    pair = Pair(case, (8, 3), "float32")
    rng = np.random.default_rng(11)
    for t in range(40):
        rows = np.unique(rng.integers(0, 8, 2))
        pair.step(rows, values(rng, rows, pair.dense))
        if t % 10 != 9:
            continue
        if way == "state_dict":
            state = pair.of_sparse.state_dict()
            assert state["param_groups"][0]["rows"] == "exact"
            pair.sparse = pair.sparse.copy()
            opt = type(pair.of_sparse)(pair.sparse, **case.options, rows="exact")
            opt.load_state_dict(state)
            pair.of_sparse = opt
        else:
            again = pickle.loads(pickle.dumps(pair.of_sparse)) if way == "pickle" else copy.deepcopy(pair.of_sparse)
            pair.of_sparse = again
            (pair.sparse,) = again.param_groups[0]["params"]
    pair.check()


def test_states_are_up_to_date_whoever_reads_them() -> None:
    pair = Pair(Case("Adam", {"lr": 0.1}), (4, 2), "float64")
    pair.step([0, 1], np.ones((2, 2)))
    pair.step([2], np.ones((1, 2)))
    assert not np.array_equal(pair.sparse, pair.dense)
    state = pair.of_sparse.state_dict()["state"][0]
    assert_array_equal(state["exp_avg"], pair.of_dense.state_dict()["state"][0]["exp_avg"])
    assert_array_equal(pair.sparse, pair.dense)


def test_load_takes_parameters_as_they_are() -> None:
    pair = Pair(Case("SGD", {"lr": 0.1, "momentum": 0.9}), (3, 2), "float64")
    fresh = pair.of_sparse.state_dict()
    pair.step([0], np.ones((1, 2)))
    pair.step([1], np.ones((1, 2)))
    held = pair.sparse.copy()
    pair.of_sparse.load_state_dict(fresh)
    pair.of_sparse.catch_up()
    assert_array_equal(pair.sparse, held)
    assert pair.of_sparse.steps == 0


def test_exchange_of_modes() -> None:
    """A state says what rows do; one without a word leaves it."""
    for mine, theirs, found in (
        (None, "exact", "exact"),
        ("lazy", "exact", "exact"),
        ("exact", "lazy", "lazy"),
        ("exact", None, "exact"),
        ("lazy", None, "lazy"),
        (None, None, None),
    ):
        opts = [schuss.Adam(np.ones((3, 2)), rows=rows) for rows in (mine, theirs)]
        for opt in opts:
            opt.step([schuss.Rows([1], np.ones((1, 2)))])
        opts[0].load_state_dict(opts[1].state_dict())
        assert opts[0].param_groups[0].get("rows") == found
        opts[0].step([schuss.Rows([1], np.ones((1, 2)))])
    with pytest.raises(ValueError, match="rows"):
        schuss.Adadelta(np.ones((3, 2))).load_state_dict(
            {"state": {}, "param_groups": [{"params": [0], "rows": "lazy"}]}
        )


def test_settings_that_change() -> None:
    pair = Pair(Case("Adam", {"lr": 0.1}), (5, 2), "float32")
    rng = np.random.default_rng(12)
    for t in range(30):
        for opt in (pair.of_dense, pair.of_sparse):
            group = opt.param_groups[0]
            group["lr"] = 0.1 / (1 + t)
            group["weight_decay"] = 0.01 * (t % 3)
            if t == 10:
                group["betas"] = (0.8, 0.99)
            if t == 20:
                group["decoupled_weight_decay"] = True
        rows = np.array([t % 5])
        pair.step(rows, values(rng, rows, pair.dense), **({"lr": 0.07} if t % 4 == 0 else {}))
    pair.check()


def test_a_mode_that_changes() -> None:
    pair = Pair(Case("Adam", {"lr": 0.1}), (5, 2), "float32")
    group = pair.of_sparse.param_groups[0]
    one = np.ones((1, 2), np.float32)
    for row in (0, 1, 2):
        pair.step([row], one)
    group["rows"] = "lazy"  # what was missed is made up for first
    pair.step([0, 1, 2, 3, 4], np.ones((5, 2), np.float32))
    pair.check()
    group["rows"] = "exact"
    for row in (0, 1, 2):
        pair.step([row], one)
    pair.check()
    del group["rows"]
    with pytest.raises(ValueError, match="rows"):
        pair.of_sparse.step([schuss.Rows([0], one)])


@pytest.mark.parametrize("kind", [schuss.SGD, schuss.Adam, schuss.RowAdaGrad])
def test_lazy_moves_given_rows_alone(kind: Any) -> None:
    rng = np.random.default_rng(13)
    start = rng.normal(size=(9, 3))
    arrays = start.copy(), start.copy()
    opts = kind(arrays[0], weight_decay=0.1), kind(arrays[1], weight_decay=0.1, rows="lazy")
    for _ in range(5):
        rows = np.unique(rng.integers(0, 6, 3))
        given = rng.normal(size=(len(rows), 3))
        for opt in opts:
            opt.step([schuss.Rows(rows, given)])
    assert_array_equal(*arrays)
    assert_array_equal(arrays[1][6:], start[6:])
    opts[1].catch_up()  # there is nothing to do
    assert_array_equal(arrays[1][6:], start[6:])
    assert "rows='lazy'" in repr(opts[1])
    assert "rows" not in repr(opts[0])


def test_bad_modes_and_rows() -> None:
    p = np.ones((4, 2))
    with pytest.raises(ValueError, match=r"rows .dense. is not known; known: lazy, exact"):
        schuss.Adam(p, rows="dense")
    with pytest.raises((ValueError, TypeError), match="rows"):
        schuss.Adam(p, rows=True)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="rows"):
        schuss.Muon(p, rows="lazy")  # type: ignore[call-arg]
    with pytest.raises(ValueError, match="rows"):
        schuss.Muon([{"params": p, "rows": "lazy"}])
    opt = schuss.Adam([p, np.ones(3)], rows="exact")
    opt.step([schuss.Rows([0, 1], np.ones((2, 2))), np.ones(3)])
    opt.step([schuss.Rows([0], np.ones((1, 2))), np.ones(3)])
    held = p.copy()
    for arguments, error, text in (
        (([4],), ValueError, r"row 4, expected rows in \[0, 4\)"),
        (([-1, 1],), ValueError, "row -1"),
        (([0.5],), TypeError, "integers"),
        (([[1]],), TypeError, "integers"),
        ((["1"],), TypeError, "integers"),
        (([0], 2), ValueError, "param"),
        (([0], -1), ValueError, "param"),
        (([0], 0.0), TypeError, "param"),
        (([2**64 - 1],), ValueError, "rows of the parameter"),
    ):
        with pytest.raises(error, match=text):
            opt.catch_up(*arguments)
    assert_array_equal(p, held)
    opt.catch_up([2, 0, 2])
    assert_array_equal(p, held)
    opt.catch_up([])
    opt.catch_up(np.array([1], np.uint8))
    assert (p[1] != held[1]).all()


@pytest.mark.parametrize("rows", ["lazy", "exact"])
def test_averages_are_refused(rows: str) -> None:
    for average in (schuss.EMA, schuss.SWA, schuss.Lookahead):
        with pytest.raises(ValueError, match=r"\['rows'\] must be None where an average"):
            average(schuss.Adam(np.ones((3, 2)), rows=rows))
    opt = schuss.Adam(np.ones((3, 2)))
    schuss.EMA(opt)
    opt.param_groups[0]["rows"] = rows
    with pytest.raises(ValueError, match=r"\['rows'\] must be None where an average"):
        opt.step([np.ones((3, 2))])
    assert opt.steps == 0


def test_a_network_goes_on_from_rows(tmp_path: Any) -> None:
    """What rows have missed is made up for before a network's steps, which move all rows."""
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(30, 8)).astype(np.float32), rng.integers(0, 3, 30)
    nets = [schuss.Network([schuss.Dense(8, 5, "relu"), schuss.Dense(5, 3)], seed=0) for _ in range(2)]
    opts = [
        schuss.Adam(net.parameters, lr=0.1, **more) for net, more in zip(nets, ({}, {"rows": "exact"}), strict=True)
    ]
    zeros = [np.zeros_like(p) for p in nets[0].parameters[1:]]

    def some_steps() -> None:
        for row in (1, 3, 1):
            whole = np.zeros((8, 5), np.float32)
            whole[row] = 1
            opts[0].step([whole, *zeros])
            opts[1].step([schuss.Rows([row], whole[row : row + 1]), *zeros])

    some_steps()
    for net, opt in zip(nets, opts, strict=True):
        net.fit(X, y, loss="cross_entropy", optimizer=opt, epochs=2, batch_size=7)
    some_steps()
    for net, opt in zip(nets, opts, strict=True):
        net.train_step(X, y, loss="cross_entropy", optimizer=opt)
    for a, b in zip(nets[0].parameters, nets[1].parameters, strict=True):
        assert_array_equal(a, b)
    nets[1].save(tmp_path / "net.safetensors")
    again = schuss.load(tmp_path / "net.safetensors")
    assert again.optimizer.param_groups[0]["rows"] == "exact"
    for net in (nets[1], again):
        net.fit(X, y, loss="cross_entropy", optimizer=net.optimizer, epochs=1, batch_size=7)
    for a, b in zip(nets[1].parameters, again.parameters, strict=True):
        assert_array_equal(a, b)
