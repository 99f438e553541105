"""Words of other libraries are answered with ours, and each of these is there."""

from __future__ import annotations

import copy
import importlib.util
import inspect
import pickle
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import schuss
from schuss import hints, losses, metrics, optim, schedules
from schuss._core import ACTIVATIONS
from schuss.habits import Missing, MissingToo, hinted, meets
from schuss.layers import KINDS
from schuss.layers.initialisers import INITIALISERS

RNG = np.random.default_rng(0)
X = RNG.normal(size=(32, 4)).astype(np.float32)
Y = X[:, 0]


def network() -> schuss.Network:
    return schuss.Network([schuss.Dense(4, 8, "relu"), schuss.Dense(1)], seed=0)


NET = network()
OPTIMIZERS: list[Any] = [kind(NET.parameters[::2]) for kind in optim.BY_NAME.values()]
OPTIMIZERS += [schuss.LBFGS(NET.parameters)]
WRAPPERS = [schuss.EMA, schuss.SWA, schuss.Lookahead, schuss.SAM]
OPTIMIZERS += [kind(schuss.SGD(NET.parameters)) for kind in WRAPPERS]
OPTIMIZERS += [schuss.Accumulate(schuss.SGD(NET.parameters), 2)]
FUNCTIONS = {
    "network": [schuss.Network],
    "fit": [schuss.Network.fit],
    "layers": list(KINDS.values()),
    "optimizers": [*optim.BY_NAME.values(), schuss.LBFGS],
    "early_stopping": [schuss.EarlyStopping],
}
KNOWN = {
    "activation": ACTIVATIONS,
    "loss": tuple(losses.BY_NAME),
    "metric": tuple(metrics.KNOWN),
    "optimizer": tuple(optim.BY_NAME),
    "init": INITIALISERS,
}


def arguments(function: Any) -> set[str]:
    return set(inspect.signature(function).parameters)


# -- every answer is there --------------------------------------------------------------------------------------------


def answers() -> Iterator[tuple[str, str, str]]:
    """Where a word is met, the word, and what is said."""
    for word, text in hints.MODULE_NAMES.items():
        yield "module", word, text
    for section, words in hints.ATTRIBUTES.items():
        for word, text in words.items():
            yield section, word, text
    for section, others in hints.KEYWORDS.items():
        for word, found in others.items():
            yield section, word, found if isinstance(found, str) else f"{found[0]}="
    for section, words in hints.VALUES.items():
        for word, text in words.items():
            yield section, word, text


# Keyword arguments of what hints name beside the functions above.
MORE_ARGUMENTS = [
    schuss.Network.train_step,
    schuss.Optimizer.step,
    schuss.Input,
    schuss.Network.evaluate,
]


OTHER_VALUES = {"lr", "loss", "lbfgs", "min", "max", "frozen", "layers.0.*"}


def exists(dotted: str) -> bool:
    """Whether a dotted name leads to something: of schuss, a network, an optimizer or a history."""
    first, *rest = dotted.split(".")
    roots = {"net": NET, "opt": OPTIMIZERS[0], "history": NET.history, "schuss": schuss}
    found: Any = roots[first]
    path = first
    for name in rest:
        path = f"{path}.{name}"
        if not hasattr(found, name):
            if not inspect.ismodule(found) or importlib.util.find_spec(path) is None:
                return False
            importlib.import_module(path)
        found = getattr(found, name)
    return True


def named(text: str) -> list[tuple[str, bool]]:
    """What a hint names of ours, and whether it is there."""
    every = [*(f for some in FUNCTIONS.values() for f in some), *MORE_ARGUMENTS]
    keys = set().union(*map(arguments, every), {"solver"})
    values = {name for names in KNOWN.values() for name in names} | OTHER_VALUES
    found = [(name, exists(name)) for name in re.findall(r"\b(?:schuss|net|opt|history)(?:\.[A-Za-z]\w*)+", text)]
    found += [(name, name in keys) for name in re.findall(r"(\w+)=", text)]
    found += [(name, name in values) for name in re.findall(r"['\"]([\w.*]+)['\"]", text)]
    found += [(name, name in keys) for name in re.findall(r"^(?!nothing\b|schuss\b)([a-z_]{2,})(?=,|$)", text)]
    return found


@pytest.mark.parametrize(("section", "word", "text"), list(answers()))
def test_an_answer_names_what_is_there(section: str, word: str, text: str) -> None:
    found = named(text)
    assert all(there for _, there in found), [name for name, there in found if not there]
    assert found or text.startswith(("nothing, as ", "a layer for each", "a function ")), text
    assert not text.endswith(".") and text[0].isalnum() | (text[0] == "'") and len(text) < 130


def test_names_that_are_not_there_are_noticed() -> None:
    for text in ("schuss.Dens", "net.fits", "fits= of net.fit", "'reluu'", "opt.steps.x", "lrs", "schuss.optim.Sgd"):
        assert not all(there for _, there in named(text)), text


def test_each_word_once() -> None:
    tables: list[Any] = [hints.MODULE_NAMES, *hints.ATTRIBUTES.values(), *hints.VALUES.values()]
    for table in tables:
        plain = [hints.plain(word) for word in table]
        assert len(plain) == len(set(plain)), sorted(w for w in plain if plain.count(w) > 1)


def test_no_word_is_one_of_ours() -> None:
    """Nothing is in the table that is there already, also in another spelling."""
    ours = {hints.plain(name) for name in schuss.__all__}
    assert not {word for word in hints.MODULE_NAMES if hints.plain(word) in ours}
    for section, functions in FUNCTIONS.items():
        for word, found in hints.KEYWORDS[section].items():
            takers = [f for f in functions if word in arguments(f)]
            # What one layer or optimizer has, another may call otherwise.
            assert len(takers) < len(functions) / 2, (section, word)
            names = found if isinstance(found, tuple) else ()
            assert not names or any(set(names) & arguments(f) for f in functions), (section, word)
    for section, words in hints.VALUES.items():
        assert not {hints.plain(word) for word in words} & {hints.plain(name) for name in KNOWN[section]}


# -- names of modules -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("module", [schuss, optim, schuss.layers, losses, metrics, schedules])
def test_names_of_modules(module: Any) -> None:
    for name, hint in hints.MODULE_NAMES.items():
        if name in dir(module):  # as schedules have a Linear of their own
            assert (module, name) == (schedules, "Linear")
            continue
        assert not hasattr(module, name)
        said = f"module {module.__name__!r} has no attribute {name!r}; here: {hint}"
        with pytest.raises(AttributeError, match=f"^{re.escape(said)}$"):
            getattr(module, name)


@pytest.mark.parametrize(
    ("module", "name", "ours"),
    [
        (schuss, "Conv2d", "schuss.Conv2D"),
        (schuss, "adam", "schuss.Adam"),
        (schuss, "Rmsprop", "schuss.RMSProp"),
        (schuss, "dense", "schuss.Dense"),
        (schuss, "Layer_Norm", "schuss.LayerNorm"),
        (optim, "Adamw", "schuss.optim.AdamW"),
        (schedules, "onecycle", "schuss.schedules.OneCycle"),
        (losses, "BCE", None),
    ],
)
def test_other_spellings(module: Any, name: str, ours: str | None) -> None:
    with pytest.raises(AttributeError) as caught:
        getattr(module, name)
    assert str(caught.value).endswith(f"; here: {ours}" if ours else f"has no attribute {name!r}")


def test_modules_that_are_not_loaded() -> None:
    code = "import schuss\ntry: schuss.tables\nexcept AttributeError as error: print(error)"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout == "module 'schuss' has no attribute 'tables'; here: import schuss.tables\n"


@pytest.mark.parametrize(
    ("statement", "said"),
    [
        ("from schuss import Sequential", "'Sequential' from 'schuss'; here: schuss.Network([...])"),
        ("from schuss import Adam, Linear", "'Linear' from 'schuss'; here: schuss.Dense"),
        ("from schuss.optim import lr_scheduler", "'lr_scheduler' from 'schuss.optim'; here: schuss.schedules"),
        (
            "from schuss.schedules import StepLR",
            "'StepLR' from 'schuss.schedules'; here: schuss.schedules.Step, which counts steps; "
            "schuss.schedules.PerEpoch counts epochs",
        ),
    ],
)
def test_import_statements(statement: str, said: str) -> None:
    with pytest.raises(ImportError, match=f"^cannot import name {re.escape(said)}$") as caught:
        exec(statement, {})
    assert caught.value.name == said.split("'")[3]


def test_import_statements_for_what_nobody_knows() -> None:
    with pytest.raises(ImportError, match=r"^cannot import name 'Nothing' from 'schuss' \("):
        exec("from schuss import Nothing", {})
    with pytest.raises(ModuleNotFoundError):
        exec("import schuss.nn", {})
    assert not hasattr(schuss, "_nothing") and not hasattr(schuss, "__path") and not hasattr(schuss, "no name")


def test_nothing_is_loaded_before_a_word_is_met() -> None:
    code = """
import sys, numpy as np, schuss
net = schuss.Network([schuss.Dense(2, 3, "relu"), schuss.Dense(1)], seed=0)
net.fit(np.zeros((8, 2)), np.zeros(8), loss="mse", early_stopping=3, validation_fraction=0.5, verbose=0)
net.predict(np.zeros((8, 2)))
from schuss.sklearn import MLPClassifier
print("schuss.hints" in sys.modules)
print(hasattr(net, "compile"), "schuss.hints" in sys.modules)
"""
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.split() == ["False", "False", "True"]


# -- attributes -------------------------------------------------------------------------------------------------------

OBJECTS: dict[str, list[Any]] = {"Network": [NET], "Optimizer": OPTIMIZERS, "History": [NET.history]}


@pytest.mark.parametrize("section", list(hints.ATTRIBUTES))
def test_attributes(section: str) -> None:
    for thing in OBJECTS[section]:
        kind = type(thing)
        words = {name for cls in kind.__mro__ for name, value in vars(cls).items() if isinstance(value, Missing)}
        assert words == set(hints.ATTRIBUTES[section]), kind
        for word, hint in hints.ATTRIBUTES[section].items():
            assert not hasattr(thing, word) and not hasattr(kind, word)
            with pytest.raises(AttributeError) as caught:
                getattr(thing, word)
            assert str(caught.value) == f"{kind.__name__!r} object has no attribute {word!r}; here: {hint}"
            with pytest.raises(AttributeError, match=f"^type object {kind.__name__!r} has no attribute"):
                getattr(kind, word)
            assert getattr(thing, word, 3) == 3
        with pytest.raises(AttributeError, match=r"has no attribute 'nothing'$"):
            thing.nothing  # noqa: B018


@pytest.mark.parametrize("section", list(hints.ATTRIBUTES))
def test_objects_do_not_show_them(section: str) -> None:
    for thing in OBJECTS[section]:
        words = set(hints.ATTRIBUTES[section])
        assert not words & set(dir(thing))
        assert not words & {name for name, _ in inspect.getmembers(thing)}
        assert set(dir(thing)) == {name for name in object.__dir__(thing) if name not in words}


def test_the_rate_of_an_optimizer_is_not_set_in_vain() -> None:
    for optimizer in OPTIMIZERS:
        for name in ("lr", "learning_rate"):
            with pytest.raises(AttributeError, match=r"here: opt.param_groups\[0\]\['lr'\]"):
                setattr(optimizer, name, 0.1)
            assert name not in vars(optimizer)


def test_what_has_such_an_attribute_of_its_own() -> None:
    class Mine(schuss.Network):
        def compile(self) -> str:
            return "compiled"

    net = Mine([schuss.Dense(2, 1)], seed=0)
    assert net.compile() == "compiled" and "compile" in dir(net) and "train" not in dir(net)
    net.train = "mine"  # type: ignore[attr-defined]
    assert net.train == "mine" and "train" in dir(net)  # type: ignore[attr-defined]
    del net.train  # type: ignore[attr-defined]
    assert not hasattr(net, "train")
    with pytest.raises(AttributeError, match="'Mine' object has no attribute 'eval'"):
        net.eval  # noqa: B018

    class Other(schuss.SGD):
        lr = 3.0

    other = Other(NET.parameters)
    other.lr = 4.0
    assert other.lr == 4.0 and "lr" in dir(other)

    class Answering(schuss.Network):
        def __getattr__(self, name: str) -> str:
            return f"asked for {name}"

    assert Answering([schuss.Dense(2, 1)], seed=0).train == "asked for train"


def test_classes_of_slots_are_met_too() -> None:
    @meets("Network", "add", "compile")
    class Slotted:
        __slots__ = ("own",)

    thing = Slotted()
    assert "add" not in dir(thing) and "own" in dir(thing) and "compile" not in dir(thing)
    assert isinstance(vars(Slotted)["compile"], MissingToo)
    with pytest.raises(AttributeError, match="here: all layers at once"):
        thing.add  # type: ignore[attr-defined] # noqa: B018
    with pytest.raises(AttributeError, match="here: loss=, optimizer= and metrics="):
        thing.compile = 3  # type: ignore[attr-defined]


def test_copies_and_pickles() -> None:
    net = network()
    net.fit(X, Y, loss="mse", epochs=1)
    for again in (pickle.loads(pickle.dumps(net)), copy.deepcopy(net)):
        assert (again.predict(X) == net.predict(X)).all() and not hasattr(again, "compile")
        assert len(again.history) == 1 and not hasattr(again.history, "history")
    optimizer = pickle.loads(pickle.dumps(net.optimizer))
    assert not hasattr(optimizer, "zero_grad") and optimizer.steps == 1
    for layer in (schuss.Dense(3, 4, "relu"), schuss.LSTM(3)):
        assert pickle.loads(pickle.dumps(layer)) == layer == copy.copy(layer)
    stopping = schuss.EarlyStopping(3, min_delta=0.1)
    assert pickle.loads(pickle.dumps(stopping)) == stopping


def test_tools_that_look_at_everything() -> None:
    import pydoc
    from unittest import mock

    for thing in (schuss.Network, schuss.Adam, schuss.History, schuss.Dense, schuss):
        assert pydoc.render_doc(thing)
    assert repr(vars(schuss.Network)["compile"]) == "<not there; here: loss=, optimizer= and metrics= of net.fit>"
    double = mock.create_autospec(schuss.Network, instance=True)
    double.fit(X, Y, loss="mse")
    with pytest.raises(TypeError):
        double.fit(X, Y, loss="mse", learning_rate=1)
    assert inspect.unwrap(schuss.Network.fit).__module__ == "schuss.network"


def test_scikit_learn_clones() -> None:
    pytest.importorskip("sklearn")
    from sklearn.base import clone

    from schuss.sklearn import MLPRegressor

    model = MLPRegressor(hidden_layer_sizes=(4,), max_iter=3, early_stopping=False, random_state=0)
    assert clone(model).get_params() == model.get_params()
    with pytest.raises(TypeError, match="does not seem to be a scikit-learn estimator"):
        clone(NET)


def test_parameters_are_a_tuple() -> None:
    """Not one that can be called: others, as jax, take no subclass for a tuple."""
    assert type(NET.parameters) is tuple
    with pytest.raises(TypeError, match=r"^'tuple' object is not callable$"):
        NET.parameters()  # type: ignore[operator]


def test_a_network_is_called_as_it_predicts() -> None:
    assert (NET(X) == NET.predict(X)).all() and (NET(X[0]) == NET.predict(X[0])).all()
    out = np.empty((32, 1), np.float32)
    assert NET(X, out) is out


# -- keyword arguments ------------------------------------------------------------------------------------------------

CALLS: dict[str, Callable[..., Any]] = {
    "network": lambda **given: schuss.Network([schuss.Dense(2, 1)], **given),
    "fit": lambda **given: NET.fit(X, Y, loss="mse", **given),
    "early_stopping": schuss.EarlyStopping,
}


@pytest.mark.parametrize("section", list(CALLS))
def test_keywords(section: str) -> None:
    for word, found in hints.KEYWORDS[section].items():
        if word == "*":
            continue
        with pytest.raises(TypeError) as caught:
            CALLS[section](**{word: 1})
        expected = found if isinstance(found, str) else f"{found[0]}="
        assert str(caught.value).endswith(f"() got an unexpected keyword argument {word!r}; here: {expected}")
        assert caught.value.__cause__ is None and caught.value.__suppress_context__


@pytest.mark.parametrize("section", ["layers", "optimizers"])
def test_keywords_of_many(section: str) -> None:
    """Each word is answered by those that have one of its names, and refused as ever by all others."""
    met = set()
    for kind in FUNCTIONS[section]:
        known = arguments(kind)
        for word, found in hints.KEYWORDS[section].items():
            if word in known:
                continue
            with pytest.raises(TypeError) as caught:
                kind(**{word: 1})
            said = str(caught.value)
            names = [name for name in found if name in known] if isinstance(found, tuple) else []
            answer = found if isinstance(found, str) else f"{names[0]}=" if names else None
            assert f"unexpected keyword argument {word!r}" in said, said
            assert said.endswith(f"; here: {answer}") if answer else "here:" not in said, said
            if answer:
                met.add(word)
    assert met == set(hints.KEYWORDS[section])


def test_several_keywords_and_unknown_ones() -> None:
    with pytest.raises(TypeError, match=r"'units'; here: units: n_out=; use_bias: bias=$"):
        schuss.Dense(units=3, use_bias=False)  # type: ignore[call-arg]
    with pytest.raises(TypeError, match=r"^Dense.__init__\(\) got an unexpected keyword argument 'nothing'"):
        schuss.Dense(3, nothing=1, units=3)  # type: ignore[call-arg]
    with pytest.raises(TypeError, match="missing 1 required keyword-only argument: 'loss'"):
        NET.fit(X, Y)  # type: ignore[call-arg]
    with pytest.raises(TypeError, match=r"Network.__init__\(\) got 2 positional arguments; here: one list of layers"):
        schuss.Network(schuss.Dense(2, 3), schuss.Dense(1))  # type: ignore[misc, arg-type]
    with pytest.raises(TypeError, match="grads"):
        schuss.SGD(NET.parameters).step()  # type: ignore[call-arg]
    before = NET.epochs_done
    with pytest.raises(TypeError, match="here: learning_rate: lr=; validation_split: validation_fraction="):
        NET.fit(X, Y, loss="mse", learning_rate=1, validation_split=0.1)  # type: ignore[call-arg]
    assert NET.epochs_done == before


def test_groups_of_an_optimizer() -> None:
    with pytest.raises(ValueError, match=r"params\[0\]'s key 'learning_rate' is not known; here: lr=; known: params"):
        schuss.Adam([{"params": NET.parameters, "learning_rate": 0.1}])


def test_errors_from_within_are_as_they_were() -> None:
    def fails(value: int, *, units: int = 0) -> None:
        raise TypeError(f"fails() got an unexpected keyword argument 'units' {value}")

    with pytest.raises(TypeError, match=r"'units' 3$"):
        hinted("layers")(fails)(3, units=1)

    def inner(n_out: int) -> None: ...

    def calls(n_out: int, **rest: Any) -> None:
        inner(n_out, **rest)

    with pytest.raises(TypeError) as caught:
        hinted("layers")(calls)(3, units=1)
    assert "here:" not in str(caught.value)


def test_signatures_are_exact() -> None:
    for functions in FUNCTIONS.values():
        for function in functions:
            kinds = {p.kind for p in inspect.signature(function).parameters.values()}
            assert inspect.Parameter.VAR_KEYWORD not in kinds and inspect.Parameter.VAR_POSITIONAL not in kinds
    assert list(inspect.signature(schuss.Dense).parameters)[:3] == ["n_in", "n_out", "activation"]
    assert schuss.Dense.__init__.__qualname__ == "Dense.__init__"
    assert schuss.Network.fit.__qualname__ == "Network.fit"
    assert list(inspect.signature(NET.fit).parameters)[:3] == ["X", "y", "loss"]


# -- values -----------------------------------------------------------------------------------------------------------

GIVEN: dict[str, Callable[[str], Any]] = {
    "activation": lambda name: schuss.Dense(3, activation=name),
    "loss": lambda name: NET.fit(X, Y, loss=name),
    "metric": lambda name: NET.evaluate(X, Y, "mse", metrics=name),
    "optimizer": lambda name: NET.fit(X, Y, loss="mse", optimizer=name),
    "init": lambda name: schuss.Dense(3, init=name),
}


@pytest.mark.parametrize(("section", "word"), [(s, word) for s, words in hints.VALUES.items() for word in words])
def test_values(section: str, word: str) -> None:
    hint = hints.VALUES[section][word]
    for spelling in (word, word.replace("_", " "), word.title().replace("_", "")):
        said = f"{section} {spelling!r} is not known; here: {hint}; known: "
        with pytest.raises(ValueError, match=f"^{re.escape(said)}"):
            GIVEN[section](spelling)


@pytest.mark.parametrize("section", list(GIVEN))
def test_other_spellings_of_values(section: str) -> None:
    for name in KNOWN[section]:
        for other in {name.upper(), name.replace("_", ""), name.replace("_", "-"), name.title()} - {name}:
            with pytest.raises(ValueError, match=f"is not known; here: '{name}'; known: "):
                GIVEN[section](other)


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda: schuss.Activation("swish"), "name 'swish' is not known; here: 'silu'; known"),
        (lambda: schuss.GRU(3, recurrent_init="xavier_uniform"), "recurrent_init .*; here: 'glorot_uniform'; known"),
        (lambda: schuss.RNN(3, "swish"), "activation 'swish' is not known; known: tanh, relu$"),
        (lambda: schuss.Conv2D(3, 3, padding="SAME"), "padding 'SAME' is not known; did you mean 'same'"),
        (lambda: schuss.Dense(3, activation="rely"), "activation 'rely' is not known; did you mean 'relu'"),
        (lambda: NET.train_step(X, Y, "mean_squared_error", schuss.SGD(NET.parameters)), "here: 'mse'; known"),
        (lambda: NET.loss_and_gradients(X, Y, "bce"), "here: 'binary_cross_entropy', with a sigmoid"),
        (lambda: schuss.GroupedDense(2, 3, 3, init="xavier"), "here: 'glorot_uniform' or 'glorot_normal'; known"),
    ],
)
def test_values_elsewhere(call: Callable[[], Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        call()


# What is given where something else is wanted.
MISTAKEN: dict[str, tuple[Callable[[], Any], str]] = {
    "class": (lambda: NET.fit(X, Y, loss="mse", optimizer=schuss.Adam), "wanted, such as schuss.Adam.*is a class$"),  # type: ignore[arg-type]
    "class in a step": (lambda: NET.train_step(X, Y, "mse", schuss.Adam), "wanted, such as schuss.Adam.*a class$"),  # type: ignore[arg-type]
    "class in an average": (lambda: schuss.EMA(schuss.Adam), "an object is wanted, such as schuss.Adam"),  # type: ignore[arg-type]
    "name in a step": (lambda: NET.train_step(X, Y, "mse", "adam"), "names are for net.fit"),  # type: ignore[arg-type]
    "number": (lambda: NET.fit(X, Y, loss="mse", optimizer=3), r"got 3 \(int\)$"),  # type: ignore[arg-type]
    "network": (lambda: schuss.Adam(NET), r"got Network.*: its parameters are wanted, as net.parameters$"),  # type: ignore[arg-type]
    "no activation": (lambda: schuss.Dense(3, activation=None), "activation must be a name, 'identity' for none"),  # type: ignore[arg-type]
    "layer's class": (lambda: schuss.Network([schuss.Dense]), r"layers\[0\] must be a layer.*this is a class$"),  # type: ignore[list-item]
    "activation as a layer": (lambda: schuss.Network(["relu"]), r"schuss.Activation\('relu'\) may be meant$"),  # type: ignore[list-item]
    "stopping among callbacks": (
        lambda: NET.fit(X, Y, loss="mse", callbacks=[schuss.EarlyStopping()]),  # type: ignore[list-item]
        r"callbacks\[0\] must be callable with an EpochRecord, and early stopping is given as early_stopping=; got",
    ),
    "its class": (
        lambda: NET.fit(X, Y, loss="mse", callbacks=[print, schuss.EarlyStopping]),
        r"callbacks\[1\] must be callable with an EpochRecord, and early stopping is given as early_stopping=; got",
    ),
    "schedule among callbacks": (
        lambda: NET.fit(X, Y, loss="mse", callbacks=[schedules.ReduceOnPlateau(0.1)]),  # type: ignore[list-item]
        r"callbacks\[0\] must be callable with an EpochRecord, and a schedule is given as lr=; got",
    ),
    "no callback": (lambda: NET.fit(X, Y, loss="mse", callbacks=[3]), r"callbacks\[0\] must be callable; got 3$"),  # type: ignore[list-item]
    "class of stopping": (
        lambda: NET.fit(X, Y, loss="mse", early_stopping=schuss.EarlyStopping),  # type: ignore[arg-type]
        r"early_stopping must be True, a patience or an object, EarlyStopping\(\); got a class",
    ),
}


@pytest.mark.parametrize("case", list(MISTAKEN))
def test_mistaken_things(case: str) -> None:
    call, said = MISTAKEN[case]
    before = [array.copy() for array in NET.parameters], NET.epochs_done
    with pytest.raises(TypeError, match=said):
        call()
    assert all((a == b).all() for a, b in zip(before[0], NET.parameters, strict=True)) and before[1] == NET.epochs_done


def test_things_of_torch() -> None:
    torch = pytest.importorskip("torch")
    module = torch.nn.Linear(4, 1)
    with pytest.raises(TypeError, match=r"those of schuss.optim are wanted, such as schuss.Adam"):
        NET.fit(X, Y, loss="mse", optimizer=torch.optim.Adam(module.parameters()))
    with pytest.raises(TypeError, match=r"schuss.from_torch takes whole networks"):
        schuss.Network([module])


# -- the page ---------------------------------------------------------------------------------------------------------

PAGE = Path(__file__).parents[2] / "docs" / "coming_from.md"


def rows() -> Iterator[tuple[str, str]]:
    """The cells of the page's tables: the word of others, and ours."""
    for line in PAGE.read_text("utf-8").splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if line.startswith("| `"):
            yield cells[0], cells[1]


def words_in(cell: str) -> set[str]:
    """What is named in a cell's code: what is called or asked for, arguments, and values."""
    found: set[str] = set()
    for code in re.findall(r"`([^`]+)`", cell):
        found.update(re.findall(r"(\w+)=", code), re.findall(r'"(\w+)"', code))
        found.add(re.split(r"[(\[= ]", code)[0].rpartition(".")[2])
    return found


# Python's own message says enough, or the object is not ours.
BEYOND = {"parameters", "step", "backward"}


def test_the_page_has_words_of_the_table() -> None:
    table = {hints.plain(word) for word in [*(word for _, word, _ in answers()), *schuss.__all__]} | BEYOND
    missing = [cell for cell, _ in rows() if not table & {hints.plain(word) for word in words_in(cell)}]
    assert len(list(rows())) > 30 and not missing, missing


@pytest.mark.parametrize(("theirs", "ours"), list(rows()) if PAGE.exists() else [])
def test_the_page_names_what_is_there(theirs: str, ours: str) -> None:
    codes = " , ".join(re.findall(r"`([^`]+)`", ours))
    found = named(codes)
    assert found or ours.startswith("nothing"), (theirs, ours)
    assert all(there for _, there in found), (theirs, [name for name, there in found if not there])
