"""Thousands of damaged files: what comes of each is a network that works, or a documented error, in bounded memory.

SCHUSS_MUTANTS says how many; SCHUSS_MUTANTS_SEED makes others.
"""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from schuss.files.containers import checksum, container
from tests.network.file_cases import ENDINGS, fitted, outcome

KINDS = ["adam", "prodigy", "schedule_free", "muon", "soap"]
MUTANTS = int(os.environ.get("SCHUSS_MUTANTS", "2000"))
SEED = int(os.environ.get("SCHUSS_MUTANTS_SEED", "0"))
EACH = max(1, MUTANTS // (len(ENDINGS) * len(KINDS)))

ODD: list[Any] = [
    *(None, True, False, 0, 1, -1, 2, 3, 7, 1.5, -0.0, 1e-320, 1e308, float("nan"), float("inf"), float("-inf")),
    *(2**31, 2**32 - 1, 2**32, 2**53, 2**63 - 1, 2**63, 2**64 - 1, 2**64, -(2**63), 10**30),
    *("", "3", "nan", "relu", "adam", "loss", "\x00", "\ud800", "é", "a" * 1000),
    *([], {}, [None], [[]], [{}], {"a": 1}, {"schedule": 0}, [0, 1], [0.9, 0.999], [0] * 100),
]


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[tuple[str, str], bytes]:
    folder = tmp_path_factory.mktemp("saved")
    found = {}
    for kind in KINDS:
        net = fitted(kind)
        for ending in ENDINGS:
            net.save(folder / f"net{ending}")
            found[kind, ending] = (folder / f"net{ending}").read_bytes()
    return found


def flipped(data: bytes, other: bytes, rng: np.random.Generator) -> bytes:
    """Some bits are others."""
    found = bytearray(data)
    for _ in range(1 + rng.integers(4)):
        found[rng.integers(len(found))] ^= 1 << int(rng.integers(8))
    return bytes(found)


def overwritten(data: bytes, other: bytes, rng: np.random.Generator) -> bytes:
    """Some bytes in a row are others, near the beginning or the end more often, where sizes are."""
    found = bytearray(data)
    place = int(rng.integers(len(found)) if rng.random() < 0.5 else rng.choice([1, -1]) * rng.integers(1, 400))
    value = [b"\0", b"\xff", rng.bytes(1)][rng.integers(3)] * int(rng.integers(1, 9))
    place %= len(found) - len(value)
    found[place : place + len(value)] = value
    return bytes(found)


def truncated(data: bytes, other: bytes, rng: np.random.Generator) -> bytes:
    return data[: rng.integers(len(data))]


def spliced(data: bytes, other: bytes, rng: np.random.Generator) -> bytes:
    """The beginning of one and the end of another, or a piece moved, doubled or lost."""
    a, b = sorted(int(k) for k in rng.integers(0, len(data), 2))
    c = int(rng.integers(len(other)))
    return [
        data[:a] + other[c:],
        data[:a] + data[b:],
        data[:b] + data[a:],
        data[:a] + other[c : c + 50] + data[a:],
        other[:c] + data,
    ][rng.integers(5)]


def places_in(value: Any) -> list[tuple[Any, Any]]:
    """Every container and key below a value of JSON."""
    keys: Any = value.keys() if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ()
    return [found for key in keys for found in [(value, key), *places_in(value[key])]]


def edited(data: bytes, other: bytes, rng: np.random.Generator, ending: str) -> bytes:
    """Another header or other arrays, with checksums that fit."""
    encode, decode = container(f"x{ending}")
    content, text, _ = decode("x", data)
    header = json.loads(text)
    header.pop("checksums")
    for _ in range(1 + int(rng.random() < 0.3)):
        edit_header(header, rng)
        if rng.random() < 0.25:
            edit_arrays(content, rng)
    header["checksums"] = {name: checksum(array) for name, array in content.items()}
    return encode(content, json.dumps(header))


def edit_header(header: dict[str, Any], rng: np.random.Generator) -> None:
    every = places_in(header)
    if not every:
        return
    within, key = every[rng.integers(len(every))]
    value = within[key]
    how = rng.integers(6)
    if how == 0:
        del within[key]
    elif how == 1 and isinstance(value, (int, float)) and not isinstance(value, bool):
        within[key] = [value + 1, value - 1, -value, value * 2, float(value), str(value)][rng.integers(6)]
    elif how == 2:  # what stands elsewhere
        other, place = every[rng.integers(len(every))]
        within[key] = json.loads(json.dumps(other[place]))
    elif how == 3 and isinstance(within, list):
        within.append(json.loads(json.dumps(value)))
    else:
        within[key] = ODD[rng.integers(len(ODD))]


def edit_arrays(content: dict[str, Any], rng: np.random.Generator) -> None:
    names = list(content)
    name = names[rng.integers(len(names))]
    array = np.array(content[name])
    how = rng.integers(6)
    if how == 0:
        del content[name]
    elif how == 1:
        content[name] = np.asarray([np.nan, np.inf, -1, 1e38, 2**62][rng.integers(5)], "f8").astype(array.dtype) + array
    elif how == 2:
        content[name] = array.reshape(-1)[: rng.integers(array.size + 1)]
    elif how == 3:
        content[name] = array.astype([np.float64, np.float32, np.int64, np.uint8][rng.integers(4)])
    elif how == 4:
        content[names[rng.integers(len(names))]] = array
    else:
        content[name + ".0"] = array


WAYS: list[Callable[..., bytes]] = [flipped, overwritten, truncated, spliced, edited, edited, edited, edited]


@pytest.mark.filterwarnings("ignore:invalid value encountered", "ignore:overflow encountered")
@pytest.mark.parametrize("ending", ENDINGS)
@pytest.mark.parametrize("kind", KINDS)
def test_mutants(files: dict[tuple[str, str], bytes], tmp_path: Path, kind: str, ending: str) -> None:
    rng = np.random.default_rng([SEED, KINDS.index(kind), ENDINGS.index(ending)])
    path, again = tmp_path / f"net{ending}", tmp_path / f"again{ending}"
    seen: Counter[tuple[str, str]] = Counter()
    for _ in range(EACH):
        way = WAYS[rng.integers(len(WAYS))]
        other = files[KINDS[rng.integers(len(KINDS))], ENDINGS[rng.integers(len(ENDINGS))]]
        options = {"ending": ending} if way is edited else {}
        mutant = way(files[kind, ending], other, rng, **options)
        path.write_bytes(mutant)
        try:
            seen[way.__name__, outcome(path, again)] += 1
        except BaseException:
            (tmp_path / f"failed{ending}").write_bytes(mutant)
            raise
    assert seen["edited", "refused"] and (seen["edited", "loaded"] or EACH < 50)
    if "SCHUSS_MUTANTS" in os.environ:
        print(kind, ending, dict(sorted(seen.items())))
