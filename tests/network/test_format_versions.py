"""A file is of the lowest version whose readers know all that is in it; others refuse it by that version."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import schuss
from schuss import schedules
from schuss.files import header, networks
from schuss.files.containers import container
from schuss.files.versions import OLDEST, SINCE, VERSION, words
from schuss.layers import Clamp, Concatenate, Periodic, PiecewiseLinear, Residual
from tests.files.words import PATH, known
from tests.network.file_cases import ENDINGS, rewritten

STORED: dict[str, list[str]] = json.loads(PATH.read_text(encoding="utf-8"))
OLD = set(STORED["3"])


def header_of(path: Path) -> dict[str, Any]:
    return json.loads(container(str(path)).decode(str(path), path.read_bytes())[1])  # type: ignore[no-any-return]


def fitted(layers: list[Any] | None = None, make: Callable[[Any], Any] = schuss.Adam, **more: Any) -> schuss.Network:
    made = [schuss.Dense(4, 3), schuss.Dense(3, 1)] if layers is None else layers
    net = schuss.Network(made, seed=0)
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(20, 4)), rng.normal(size=(20, 1))
    net.fit(X, y, loss="mse", optimizer=make(net.parameters), epochs=2, batch_size=8, **more)
    return net


def test_a_new_word_needs_a_new_version() -> None:
    """Words of a settled version do not change: a younger one goes into SINCE, and `tests.files.words` stores it."""
    assert [*STORED] == [str(version) for version in range(OLDEST, VERSION + 1)]
    everything = {word for stored in STORED.values() for word in stored}
    assert known() - everything == set(), "give these words to SINCE with a version that no build has had"
    assert everything - OLD >= set(SINCE)
    for version in range(OLDEST + 1, VERSION + 1):
        for word in STORED[str(version)]:
            # Of something new all is: its name alone is entered.
            assert version in (SINCE.get(word), SINCE.get(word.partition(".")[0])), word


@pytest.mark.parametrize(
    "make",
    [
        lambda: schuss.Network([schuss.Dense(4, 1)], seed=0),
        fitted,
        lambda: fitted([schuss.Dense(4, 4), Residual([schuss.LayerNorm(), schuss.Dense(4)]), schuss.Dense(4, 1)]),
        lambda: fitted(validation_fraction=0.2, early_stopping=3),
        lambda: fitted(make=lambda params: schuss.EMA(schuss.AdamW(params, lr=schedules.Cosine(0.01, 10)))),
        lambda: fitted(make=lambda params: schuss.SGD(params, lr=0.1, weight_decay=0.1)),
    ],
    ids=["untrained", "adam", "residual", "held out", "EMA", "SGD"],
)  # fmt: skip
def test_what_version_3_had_is_version_3(make: Callable[[], schuss.Network], tmp_path: Path) -> None:
    make().save(tmp_path / "net.npz")
    found = header_of(tmp_path / "net.npz")
    assert found["version"] == 3 and set(words(found)) - {"field monitor of two"} <= OLD


NEW: dict[str, Callable[[], schuss.Network]] = {
    "a kind of layer": lambda: fitted([schuss.Dense(4, 1), Clamp(-1, 1)]),
    "one within others": lambda: fitted(
        [
            schuss.Dense(4, 4),
            Residual([Concatenate([[Periodic(1, 1.0), schuss.Dense(2)], schuss.Dense(2)])]),
            schuss.Dense(4, 1),
        ]
    ),
    "bins": lambda: fitted([PiecewiseLinear([[0.0, 1.0]] * 4), schuss.Dense(4, 1)]),
    "an argument": lambda: fitted([schuss.Dense(4, 1, parametrization="ntp")]),
    "a start of weights": lambda: fitted([schuss.Dense(4, 1, init="uniform")]),
    "an optimizer": lambda: fitted(make=schuss.LaProp),
    "a schedule": lambda: fitted(make=lambda params: schuss.Adam(params, lr=schedules.CosLog(0.01, 10))),
    "a schedule in another": lambda: fitted(
        make=lambda params: schuss.Adam(params, lr=schedules.WarmUp(2, schedules.FlatCos(0.01, 10)))
    ),
    "ties": lambda: fitted(validation_fraction=0.2, early_stopping=schuss.EarlyStopping(3, ties="last")),
    "a schedule of decay": lambda: fitted(
        make=lambda params: schuss.AdamW(params, weight_decay=schedules.Linear(0.1, 10))
    ),
}
# Of sequences and images.
NEWER: dict[str, Callable[[], schuss.Network]] = {
    "times": lambda: schuss.Network([schuss.Input("x", (3, 2)), schuss.Dense(1)], seed=0),
    "a recurrent layer": lambda: schuss.Network([schuss.GRU(2, input_shape=(3, 2)), schuss.Dense(1)], seed=0),
    "two directions": lambda: schuss.Network(
        [schuss.Input("x", (3, 2)), schuss.Bidirectional(schuss.LSTM(2)), schuss.Dense(1)], seed=0
    ),
    "a convolution": lambda: schuss.Network(
        [schuss.Input("x", (1, 5, 5), channels="first"), schuss.Conv2D(2, 3), schuss.Flatten(), schuss.Dense(1)], seed=0
    ),
}
SWITCHED = {
    f"a switch {when}": lambda at=at: fitted(
        make=lambda params: schuss.Switch(schuss.Adam(params), schuss.SGD(params), at=at)
    )
    for when, at in (("ahead", 9), ("behind", 2))
}
VERSIONS = {**{what: (4, make) for what, make in NEW.items()}, **{what: (5, make) for what, make in NEWER.items()}}
VERSIONS |= {what: (7, make) for what, make in SWITCHED.items()}


@pytest.mark.parametrize("ending", ENDINGS)
@pytest.mark.parametrize("what", VERSIONS)
def test_what_is_new_is_refused_by_its_version(
    what: str, ending: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / f"net{ending}"
    version, make = VERSIONS[what]
    make().save(path)
    assert header_of(path)["version"] == version <= VERSION
    schuss.load(path)
    before = version - 1
    for module in (header, networks):
        monkeypatch.setattr(module, "VERSION", before)
    said = re.escape(
        f"{path} has format version {version}, newer than {before}, the newest that this version of schuss reads"
    )
    with pytest.raises(ValueError, match=said):
        schuss.load(path)


def test_networks_beside_the_first_count(tmp_path: Path) -> None:
    plain, new = fitted(), fitted([schuss.Dense(4, 1, init="uniform")])
    for second in (plain, new):
        networks.write(tmp_path / "net.npz", plain._parts_with(None), [second._parts_with(None)])
        assert header_of(tmp_path / "net.npz")["version"] == 4
    assert not OLD & {"field others", *SINCE}


def test_older_files_with_younger_words_are_read(tmp_path: Path) -> None:
    """Builds have written them before words had versions."""
    path = tmp_path / "net.npz"
    fitted([schuss.Dense(4, 1), Clamp(-1, 1)]).save(path)
    rewritten(path, lambda found, content: found.update(version=3))
    assert header_of(path)["version"] == 3
    assert isinstance(schuss.load(path).layers[1], Clamp)
