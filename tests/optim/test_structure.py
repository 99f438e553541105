"""Parameters in every form, gradients in the same form, and groups without decay: always in the caller's order."""

from __future__ import annotations

import array
import copy
import pickle
from collections import OrderedDict
from collections.abc import Callable
from types import MappingProxyType
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import schuss
from schuss import structure


def some(count: int = 3) -> list[np.ndarray]:
    """Arrays of 1, 2, 3, ... dimensions."""
    return [np.ones((2,) * (k + 1)) for k in range(count)]


def same(found: Any, expected: list[Any]) -> bool:
    return len(found) == len(expected) and all(a is b for a, b in zip(found, expected, strict=True))


# ---- reading ---------------------------------------------------------------------------------------------------------

a, b, c = some()

FORMS: dict[str, tuple[Callable[[], Any], list[tuple[int, Any, Any]], list[dict[str, Any]]]] = {
    "array": (lambda: a, [(0, 0, a)], [{}]),
    "list": (lambda: [a, b], [(0, 0, a), (0, 1, b)], [{}]),
    "tuple": (lambda: (a, b), [(0, 0, a), (0, 1, b)], [{}]),
    "generator": (lambda: (x for x in (a, b)), [(0, 0, a), (0, 1, b)], [{}]),
    "values": (lambda: {"w": a, "b": b}.values(), [(0, 0, a), (0, 1, b)], [{}]),
    "dict": (lambda: {"w": a, "b": b}, [(0, "w", a), (0, "b", b)], [{}]),
    "mapping": (lambda: MappingProxyType({"w": a}), [(0, "w", a)], [{}]),
    "a group": (lambda: {"lr": 0.1, "params": [a, b]}, [(0, 0, a), (0, 1, b)], [{"lr": 0.1}]),
    "a named group": (lambda: {"params": {"w": a}, "lr": 0.1}, [(0, "w", a)], [{"lr": 0.1}]),
    "groups": (
        lambda: [{"params": a}, {"params": [b], "lr": 0.1}, {"params": {"w": c}}],
        [(0, 0, a), (1, 0, b), (2, "w", c)],
        [{}, {"lr": 0.1}, {}],
    ),
    "groups of generators": (
        lambda: ({"params": (x for x in two)} for two in ((a, b), (c,))),
        [(0, 0, a), (0, 1, b), (1, 0, c)],
        [{}, {}],
    ),
}


@pytest.mark.parametrize("form", FORMS)
def test_forms(form: str) -> None:
    make, expected, options = FORMS[form]
    entries, found, described = structure.read(make())
    assert [entry[:2] for entry in entries] == [row[:2] for row in expected]
    assert same([entry.array for entry in entries], [row[2] for row in expected])
    assert found == options
    assert described.size == len(expected)


def test_memory_is_an_array_though_it_is_iterable() -> None:
    entries, _, _ = structure.read(array.array("d", [1.0, 2.0]))
    np.testing.assert_array_equal(entries[0].array, [1.0, 2.0])
    torch = pytest.importorskip("torch")
    layer = torch.nn.Linear(3, 2)
    for params in (layer.parameters(), list(layer.parameters()), torch.nn.ParameterList(layer.parameters())):
        entries, _, _ = structure.read(params)
        assert [entry.array.shape for entry in entries] == [(2, 3), (2,)]
    entries, _, _ = structure.read(dict(layer.named_parameters()))
    assert [entry.key for entry in entries] == ["weight", "bias"]
    assert entries[0].array.ctypes.data == layer.weight.data_ptr()
    entries, _, _ = structure.read(layer.weight)
    assert len(entries) == 1


@pytest.mark.parametrize(
    ("params", "error", "match"),
    [
        ([], ValueError, "^params must hold at least one array; got none"),
        ({}, ValueError, "^params must hold at least one array; got none"),
        ([{"params": []}], ValueError, r"^params\[0\]\['params'\] must hold at least one"),
        ([{"params": {}}], ValueError, r"^params\[0\]\['params'\] must hold at least one"),
        (
            3.0,
            TypeError,
            r"^params must be an array, a list or a dict of arrays, or groups as dicts; got 3\.0 \(float\)",
        ),
        (None, TypeError, r"^params must be .*; got None"),
        ("abc", TypeError, r"^params must be .*; got 'abc' \(str\)"),
        ({1, 2}, TypeError, r"^params must be .*; got \{1, 2\} \(set\)"),
        ([{"params": 3}], TypeError, r"^params\[0\]\['params'\] must be an array, a list or a dict of arrays; got 3"),
        ({"params": "abc"}, TypeError, r"^params\['params'\] must be .*; got 'abc'"),
        ([{"lr": 1.0}], TypeError, r"^params\[0\] must be a dict with 'params' like the others; got \{'lr': 1\.0\}"),
        ([{"params": a}, b], TypeError, r"^params\[1\] must be a dict with 'params'"),
        ([a, {"params": b}], TypeError, r"^params\[0\] must be a dict with 'params'"),
        ([a, [1.0]], TypeError, r"^params\[1\] must be .* updated in place; got \[1\.0\] \(list\)"),
        ([a, None], TypeError, r"^params\[1\] must be .*; got None"),
        ({"w": a, "b": 1.0}, TypeError, r"^params\['b'\] must be .*; got 1\.0"),
        ({"layer": {"w": a}}, TypeError, r"^params\['layer'\] must be .*\(dict\)"),
        ({"params": {"w": a, "b": 1.0}}, TypeError, r"^params\['params'\]\['b'\] must be"),
        ([{"params": a}, {"params": [b, 1.0]}], TypeError, r"^params\[1\]\['params'\]\[1\] must be"),
        ([{"params": {"b": 1.0}}], TypeError, r"^params\[0\]\['params'\]\['b'\] must be"),
        ({3: a}, TypeError, r"^params must have names that are text; got 3 \(int\)"),
        ([("w", a)], TypeError, r"^params\[0\] must be an array; got a name and .*: give dict\(\.\.\.\)"),
    ],
)
def test_params_of_no_use(params: Any, error: type[Exception], match: str) -> None:
    with pytest.raises(error, match=match):
        structure.read(params)


def test_names_for_messages() -> None:
    _, _, described = structure.read([{"params": a}, {"params": {"w": b, "b": c}}])
    assert described.parameter(2) == "params[1]['params']['b']"
    assert described.gradient(2) == "grads[1]['b']"
    assert structure.read({"w": a, "b": b})[2].gradient(1) == "grads['b']"
    assert structure.read([a, b])[2].parameter(1) == "params[1]"


# ---- gradients -------------------------------------------------------------------------------------------------------


def test_arrays_and_lists_of_gradients() -> None:
    class Sequence:
        """What can only be counted through."""

        def __len__(self) -> int:
            return 2

        def __getitem__(self, i: int) -> np.ndarray:
            return (a, b)[i]

    one, two = structure.read(c)[2], structure.read([a, b])[2]
    for grads in (a, [a], (a,), iter([a])):
        assert same(one.flatten(grads), [a])
    for grads in ([a, b], (a, b), iter([a, b]), {"x": a, "y": b}.values(), Sequence()):
        assert same(two.flatten(grads), [a, b])


def test_dicts_of_gradients() -> None:
    named = structure.read({"x": a, "y": b, "z": c})[2]
    for grads in ({"x": a, "y": b, "z": c}, {"z": c, "y": b, "x": a}, OrderedDict(y=b, z=c, x=a)):
        assert same(named.flatten(grads), [a, b, c])
        assert same(named.flatten(MappingProxyType(grads)), [a, b, c])
    assert same(structure.read({"x": a})[2].flatten({"x": b}), [b])
    group = structure.read({"params": {"x": a}, "lr": 0.1})[2]
    assert same(group.flatten({"x": b}), [b])


def test_groups_of_gradients() -> None:
    groups = structure.read([{"params": a}, {"params": [b, c]}, {"params": {"x": a, "y": b}}])[2]
    flat = [b, a, c, a, c]
    for grads in (
        flat,
        tuple(flat),
        iter(flat),
        [b, [a, c], {"y": c, "x": a}],
        ([b], (a, c), {"x": a, "y": c}),
    ):
        assert same(groups.flatten(grads), flat)
    single = structure.read([{"params": [a]}, {"params": b}])[2]
    for grads in ([c, a], [[c], a], [[c], [a]]):
        assert same(single.flatten(grads), [c, a])


def test_other_memory_among_gradients() -> None:
    other = array.array("d", [5.0])
    for params, grads in (([a, b], [a, other]), ({"x": a, "y": b}, {"y": other, "x": a})):
        found = structure.read(params)[2].flatten(grads)
        assert found[0] is a
        assert found[1].tolist() == [5.0]
    assert structure.read(a)[2].flatten(other)[0].tolist() == [5.0]
    assert structure.read(a)[2].flatten(np.float64(2.0))[0].tolist() == 2.0
    found = structure.read([{"params": a}, {"params": [b]}])[2].flatten([a, [other]])
    assert found[1].tolist() == [5.0]


LISTED: Callable[[], Any] = lambda: [a, b]  # noqa: E731
NAMED: Callable[[], Any] = lambda: {"weight": a, "bias": b, "scale": c}  # noqa: E731
GROUPS: Callable[[], Any] = lambda: [{"params": [a, b]}, {"params": {"w": c}}]  # noqa: E731


@pytest.mark.parametrize(
    ("params", "grads", "error", "match"),
    [
        (lambda: a, None, TypeError, r"^grads must be an array; got None \(NoneType\)"),
        (lambda: a, 1.0, TypeError, r"^grads must be an array; got 1\.0 \(float\)"),
        (lambda: a, [], ValueError, "^grads has 0 arrays, expected 1, one for each parameter"),
        (lambda: a, [3], TypeError, "^grads must be an array, .*; got 3"),
        (lambda: a, {"w": a}, TypeError, r"^grads must be an array; got .*dict"),
        (LISTED, [a], ValueError, "^grads has 1 arrays, expected 2, one for each parameter"),
        (LISTED, [a, b, c], ValueError, "^grads has 3 arrays, expected 2"),
        (LISTED, a, ValueError, "^grads has 1 arrays, expected 2"),
        (LISTED, "ab", TypeError, "^grads must be a list of 2 arrays, in the order of the parameters; got 'ab'"),
        (LISTED, {"w": a, "b": b}, TypeError, "^grads must be a list of 2 arrays, in the order .*dict"),
        (LISTED, [a, [1.0]], TypeError, r"^grads\[1\] must be .*; got \[1\.0\] \(list\)"),
        (NAMED, [a, b, c], TypeError, r"^grads must be a dict .* names .*, 'weight', 'bias', 'scale'; got .*\(list\)"),
        (NAMED, a, TypeError, r"^grads must be a dict .* names .*ndarray"),
        (NAMED, {"weight": a, "bias": b}, ValueError, "^grads has no 'scale'; expected one for each parameter"),
        (NAMED, {}, ValueError, "^grads has no 'weight', 'bias', 'scale'"),
        (
            NAMED,
            {"weight": a, "biass": b, "scale": c},
            ValueError,
            "^grads's name 'biass' is not known; did you mean 'bias'.*; grads has no 'bias'$",
        ),
        (NAMED, {**NAMED(), 3: a}, ValueError, "^grads's name 3 is not known; known: weight, bias, scale$"),
        (NAMED, {"weight": a, "bias": 3, "scale": c}, TypeError, r"^grads\['bias'\] must be .*; got 3"),
        (GROUPS, [a, b], ValueError, "^grads has 2 arrays, expected 3"),
        (GROUPS, [[a, b]], ValueError, "^grads has 1 groups, expected 2, one for each group of params"),
        (GROUPS, {"w": a}, TypeError, "^grads must be a list of 3 arrays"),
        (GROUPS, [[a], {"w": c}], ValueError, r"^grads\[0\] has 1 arrays, expected 2"),
        (GROUPS, [[a, b], c], TypeError, r"^grads\[1\] must be a dict"),
        (GROUPS, [[a, b], {"v": c}], ValueError, r"^grads\[1\]'s name 'v' is not known.*; grads\[1\] has no 'w'"),
        (GROUPS, [[a, 3], {"w": c}], TypeError, r"^grads\[0\]\[1\] must be .*; got 3"),
        (GROUPS, [[a, b], {"w": 3}], TypeError, r"^grads\[1\]\['w'\] must be .*; got 3"),
        (GROUPS, [a, b, 3], TypeError, r"^grads\[1\]\['w'\] must be .*; got 3"),
    ],
)
def test_gradients_of_another_form(params: Callable[[], Any], grads: Any, error: type[Exception], match: str) -> None:
    optimizer = schuss.SGD(params(), lr=0.1)
    with pytest.raises(error, match=match):
        optimizer.step(grads)
    assert optimizer.steps == 0


def test_messages_stay_short() -> None:
    names = [f"layer{k}" for k in range(1000)]
    described = structure.read({name: np.ones(1) for name in names})[2]
    for grads in ({}, {"layer": a}, [a]):
        with pytest.raises((ValueError, TypeError)) as caught:
            described.flatten(grads)
        assert len(str(caught.value)) < 600


names = st.text("ab.[]*'0é", min_size=1, max_size=5).filter(lambda name: name != "params")
shapes = st.lists(st.integers(0, 3), max_size=3)


@st.composite
def inner(draw: st.DrawFn) -> Any:
    """An array, a list or a dict."""
    fresh = shapes.map(np.ones)
    return draw(st.one_of(fresh, st.lists(fresh, min_size=1, max_size=4), st.dictionaries(names, fresh, min_size=1)))


@st.composite
def params_of_any_form(draw: st.DrawFn) -> Any:
    groups = st.lists(inner(), min_size=1, max_size=3).map(lambda parts: [{"params": part} for part in parts])
    return draw(st.one_of(inner(), groups, inner().map(lambda part: {"params": part})))


def flat(params: Any) -> list[np.ndarray]:
    """The arrays of these forms in order, another way."""
    if isinstance(params, np.ndarray):
        return [params]
    if isinstance(params, dict) and "params" not in params:
        return list(params.values())
    if isinstance(params, dict):
        return flat(params["params"])
    return [x for part in params for x in flat(part)]


def alike(draw: st.DrawFn, params: Any) -> Any:
    """Gradients of this form: new arrays, dicts in another order."""
    if isinstance(params, np.ndarray):
        return np.zeros(params.shape)
    if isinstance(params, dict) and "params" in params:
        return alike(draw, params["params"])
    if isinstance(params, dict):
        grads = {name: np.zeros(x.shape) for name, x in params.items()}
        return {name: grads[name] for name in draw(st.permutations(list(params)))}
    return [alike(draw, part) for part in params]


def in_order(params: Any, grads: Any) -> list[np.ndarray]:
    if isinstance(params, np.ndarray):
        return [grads]
    if isinstance(params, dict) and "params" in params:
        return in_order(params["params"], grads)
    if isinstance(params, dict):
        return [grads[name] for name in params]
    return [g for part, grad in zip(params, grads, strict=True) for g in in_order(part, grad)]


@given(params_of_any_form(), st.data())
def test_any_form(params: Any, data: st.DataObject) -> None:
    entries, options, described = structure.read(params)
    arrays = [entry.array for entry in entries]
    assert same(arrays, flat(params))
    assert len(options) == (len(params) if isinstance(params, list) and isinstance(params[0], dict) else 1)
    grads = alike(data.draw, params)
    assert same(described.flatten(grads), in_order(params, grads))
    for other in (pickle.loads(pickle.dumps(described)), copy.deepcopy(described)):
        assert same(other.flatten(grads), in_order(params, grads))
    for i, entry in enumerate(entries):
        assert eval(described.parameter(i), {"params": params}) is entry.array


# ---- decay -----------------------------------------------------------------------------------------------------------


def decays(params: Any, no_decay: Any, decay: float = 0.5) -> list[float]:
    """The decay of each array, in order."""
    entries, options = structure.without_decay(*structure.read(params)[:2], no_decay)
    return [options[entry.group].get("weight_decay", decay) for entry in entries]


def test_no_decay_of_vectors() -> None:
    entries, options, described = structure.read({"w": b, "b": a, "w2": c, "scale": np.array(1.0)})
    moved, split = structure.without_decay(entries, options, True)
    assert [entry.group for entry in moved] == [0, 1, 0, 1]
    assert split == [{}, {"weight_decay": 0.0}]
    assert [entry[1:] for entry in moved] == [entry[1:] for entry in entries]
    assert options == [{}]
    assert same(described.flatten({"b": a, "w": b, "w2": c, "scale": a}), [b, a, c, a])


@pytest.mark.parametrize("nothing", [None, False, [], (), lambda name, array: False])
def test_no_no_decay(nothing: Any) -> None:
    entries, options, _ = structure.read([{"params": [a, b], "lr": 0.1}])
    assert structure.without_decay(entries, options, nothing) == (entries, options)


def test_groups_given_keep_their_numbers() -> None:
    given_groups = [
        {"params": [a, b], "lr": 0.1, "weight_decay": 1.0},
        {"params": [a]},
        {"params": [c]},
        {"params": [b, a]},
    ]
    entries, options = structure.without_decay(*structure.read(given_groups)[:2], True)
    assert [entry.group for entry in entries] == [4, 0, 1, 2, 3, 5]
    assert options == [
        {"lr": 0.1, "weight_decay": 1.0},
        {"weight_decay": 0.0},
        {},
        {},
        {"lr": 0.1, "weight_decay": 0.0},
        {"weight_decay": 0.0},
    ]


@pytest.mark.parametrize(
    ("no_decay", "expected"),
    [
        (["0.bias", "norm.weight"], [0.5, 0.0, 0.0, 0.5]),
        (("*.bias",), [0.5, 0.0, 0.5, 0.0]),
        ("*.bias", [0.5, 0.0, 0.5, 0.0]),
        ({"*bias", "norm.*"}, [0.5, 0.0, 0.0, 0.0]),
        (["[12].bias"], [0.5, 0.5, 0.5, 0.0]),
        (lambda name, array: array.ndim == 2 or name.startswith("n"), [0.0, 0.5, 0.0, 0.5]),
    ],
)
def test_no_decay_by_name(no_decay: Any, expected: list[float]) -> None:
    params = {"0.weight": b, "0.bias": a, "norm.weight": a.copy(), "2.bias": a.copy()}
    assert decays(params, no_decay) == expected


def test_names_that_look_like_patterns() -> None:
    assert decays({"w[0]": a, "w0": b}, ["w[0]"]) == [0.0, 0.0]
    assert decays({"w[0]": a, "w1": b}, ["w[0]"]) == [0.0, 0.5]


def test_no_decay_by_place() -> None:
    assert decays([a, b, c], lambda place, array: place % 2 == 1) == [0.5, 0.0, 0.5]
    assert decays([{"params": [a, b]}, {"params": {"x": c}}], ["x"]) == [0.5, 0.5, 0.0]


@pytest.mark.parametrize(
    ("params", "no_decay", "error", "match"),
    [
        ({"weight": a, "bias": b}, ["biass"], ValueError, "^no_decay's name 'biass' is not known; did you mean 'bias'"),
        ({"weight": a, "bias": b}, ["*.bias"], ValueError, r"^no_decay's name '\*\.bias' is not known"),
        ([a, b], ["bias"], ValueError, "^no_decay has names, but params has none"),
        ({"weight": a}, [3], TypeError, r"^no_decay must hold names; got 3 \(int\)"),
        ({"weight": a}, 3, TypeError, r"^no_decay must be True, names, or a function .*; got 3 \(int\)"),
        ({"weight": a}, {"weight": True}, TypeError, "^no_decay must be True, names, or a function .*dict"),
        (
            {"weight": a},
            lambda name, array: None,
            TypeError,
            r"^no_decay\('weight', \.\.\.\) must be True or False; got None",
        ),
        ([a], lambda name, array: 1, TypeError, r"^no_decay\(0, \.\.\.\) must be True or False; got 1"),
    ],
)
def test_no_decay_of_no_use(params: Any, no_decay: Any, error: type[Exception], match: str) -> None:
    with pytest.raises(error, match=match):
        decays(params, no_decay)


@given(params_of_any_form(), st.data())
def test_any_choice_of_decay(params: Any, data: st.DataObject) -> None:
    entries, options, _ = structure.read(params)
    options = [{"lr": float(group), **({"weight_decay": 1.0} if group % 2 else {})} for group in range(len(options))]
    chosen = data.draw(st.lists(st.booleans(), min_size=len(entries), max_size=len(entries)))
    answers = iter(chosen)
    moved, split = structure.without_decay(entries, options, lambda key, array: next(answers))
    assert [entry[1:2] for entry in moved] == [entry[1:2] for entry in entries]
    assert same([entry.array for entry in moved], [entry.array for entry in entries])
    for before, after, without in zip(entries, moved, chosen, strict=True):
        expected = {**options[before.group], **({"weight_decay": 0.0} if without else {})}
        assert split[after.group] == expected
        assert without or after.group == before.group
    assert {entry.group for entry in moved} == set(range(len(split)))


def test_a_step_over_groups_without_decay_is_that_of_two_optimizers() -> None:
    def arrays() -> dict[str, np.ndarray]:
        rng = np.random.default_rng(0)
        return {name: rng.normal(size=shape) for name, shape in (("w", (3, 4)), ("b", 4), ("w2", (4, 2)), ("b2", 2))}

    together, apart = arrays(), arrays()
    entries, options, described = structure.read(together)
    entries, options = structure.without_decay(entries, options, True)
    groups = [
        {"params": [entry.array for entry in entries if entry.group == k], **given} for k, given in enumerate(options)
    ]
    optimizer = schuss.AdamW(groups, weight_decay=0.5)
    matrices, vectors = (
        schuss.AdamW([apart[name] for name in two], weight_decay=decay)
        for two, decay in ((("w", "w2"), 0.5), (("b", "b2"), 0.0))
    )
    for _ in range(3):
        grads = {name: np.cos(x) for name, x in reversed(together.items())}
        found = described.flatten(grads)
        optimizer.step([found[i] for k in range(len(groups)) for i, entry in enumerate(entries) if entry.group == k])
        matrices.step([np.cos(apart[name]) for name in ("w", "w2")])
        vectors.step([np.cos(apart[name]) for name in ("b", "b2")])
    for name, x in together.items():
        np.testing.assert_array_equal(x, apart[name])
