"""Codes of raw categories: the published hash, what is one category, columns, errors."""

from __future__ import annotations

import copy
import os
import pickle
import subprocess
import sys
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_array_equal

from schuss import Hashed

# Of bytes and a seed, as they are published beside the algorithm.
PUBLISHED = [
    (b"", 0, 0),
    (b"", 1, 0x514E28B7),
    (b"", 0xFFFFFFFF, 0x81F16F39),
    (b"\xff\xff\xff\xff", 0, 0x76293B50),
    (b"!Ce\x87", 0, 0xF55B516B),
    (b"!Ce\x87", 0x5082EDEE, 0x2362F9DE),
    (b"!Ce", 0, 0x7E4A8634),
    (b"!C", 0, 0xA0F7B07A),
    (b"!", 0, 0x72661CF4),
    (b"\0\0\0\0", 0, 0x2362F9DE),
    (b"\0\0\0", 0, 0x85F0B427),
    (b"\0\0", 0, 0x30F4C306),
    (b"\0", 0, 0x514E28B7),
    (b"aaaa", 0x9747B28C, 0x5A97808A),
    (b"aaa", 0x9747B28C, 0x283E0130),
    (b"aa", 0x9747B28C, 0x5D211726),
    (b"a", 0x9747B28C, 0x7FA09EA6),
    (b"abcd", 0x9747B28C, 0xF0478627),
    (b"Hello, world!", 0x9747B28C, 0x24884CBA),
    ("ππππππππ".encode(), 0x9747B28C, 0xD58063C1),
    (b"The quick brown fox jumps over the lazy dog", 0x9747B28C, 0x2FA826CD),
]


def raw(value: Any, seed: int = 0) -> int:
    """The hash itself."""
    return int(Hashed(2**32, seed, salted=False)(np.array([value, None], object))[0])


@pytest.mark.parametrize(("value", "seed", "wanted"), PUBLISHED)
def test_published_vectors(value: bytes, seed: int, wanted: int) -> None:
    assert raw(value, seed) == wanted


def test_the_verification_of_the_published_test_suite() -> None:
    """SMHasher: the hash of the hashes of the bytes 0, 1, ..., n - 1 with seed 256 - n for each n."""
    hashes = b"".join(raw(bytes(range(n)), 256 - n).to_bytes(4, "little") for n in range(256))
    assert raw(hashes) == 0xB0F57EE3


@settings(deadline=None)
@given(st.lists(st.text(st.characters(codec="utf-8"), max_size=12), min_size=1, max_size=20), st.integers(0, 2**32 - 1))
def test_scikit_learn(words: list[str], seed: int) -> None:
    """Its hash, of lists, of text of fixed width in either byte order, and of bytes."""
    sklearn = pytest.importorskip("sklearn.utils")
    words = [word.rstrip("\0") for word in words]  # NumPy's text has none there
    wanted = [sklearn.murmurhash3_32(word.encode(), seed=seed, positive=True) for word in words]
    hashed = Hashed(2**32, seed)
    assert_array_equal(hashed(words), wanted)
    fixed = np.array(words)
    for array in (fixed, fixed.astype(fixed.dtype.newbyteorder()), np.array([word.encode() for word in words])):
        assert_array_equal(hashed(array), wanted)


def test_what_is_one_category() -> None:
    """An integer and its digits, in any dtype; whole floats; all that is missing."""
    hashed = Hashed(2**20)
    sevens = hashed(["7", 7, 7.0, np.int8(7), np.float32(7), np.uint64(7), b"7", np.str_("7")])
    assert len(set(sevens.tolist())) == 1
    for dtype in ("i1", "u2", ">i4", "<i8", ">u8", "f4", ">f8"):
        assert hashed(np.array([7], dtype)) == sevens[0]
    assert_array_equal(hashed([-12, 2**63 - 1, -(2**63), 2**64 - 1, 2**70, True, False]),
                       hashed(["-12", *map(str, (2**63 - 1, -(2**63), 2**64 - 1, 2**70)), "1", "0"]))  # fmt: skip
    assert_array_equal(hashed(np.array([2**64 - 1, 0], np.uint64)), hashed([str(2**64 - 1), "0"]))
    assert_array_equal(hashed(np.array([True, False])), hashed(["1", "0"]))
    missing = hashed([None, np.nan, np.float32("nan"), np.datetime64("NaT").astype(object)])
    assert len(set(missing.tolist())) == 1
    assert missing[0] not in hashed(["", "nan", "None", "NaN", 0])
    assert_array_equal(hashed(np.array([np.nan, 3.0])), [missing[0], hashed(["3"])[0]])
    assert hashed(["\xe9"]) != hashed(["e\u0301"])  # no normal form is made of text
    assert hashed(["a", "a "]).tolist() == hashed(np.array(["a", "a "])).tolist()
    assert hashed(["a\0b"]) == hashed(np.array(["a\0b"]))
    assert hashed(np.zeros(0, object)).shape == (0,)


def test_pandas() -> None:
    pandas = pytest.importorskip("pandas")
    hashed = Hashed(1000)
    wanted = hashed(["a", None, "b"])
    for series in (
        pandas.Series(["a", None, "b"]),
        pandas.Series(["a", None, "b"], dtype="string"),
        pandas.Series(["a", None, "b"], dtype="category"),
        pandas.Series(["a", pandas.NA, "b"], dtype=object),
    ):
        assert_array_equal(hashed(series), wanted)
    assert_array_equal(hashed(pandas.Series([1, None, 3])), hashed([1, None, 3]))
    assert_array_equal(hashed(pandas.Series([1, None, 3], dtype="Int64")), hashed([1, None, 3]))
    assert_array_equal(hashed([pandas.NaT, pandas.NA]), hashed([None, None]))
    frame = pandas.DataFrame({"a": ["x", None], "n": [1, 2]})
    assert_array_equal(hashed(frame), hashed(np.array([["x", 1], [None, 2]], object)))


def test_columns() -> None:
    """Each column has the seed after that of the one before; or all the same."""
    words = np.array([["a", "a", "b"], [None, "b", "a"]], object)
    found = Hashed(2**31, 5)(words)
    for k in range(3):
        assert_array_equal(found[:, k], Hashed(2**31, 5 + k)(words[:, k]))
    assert len(set(found.reshape(-1).tolist())) == 6
    same = Hashed(2**31, 5, salted=False)(words)
    assert same[0, 0] == same[0, 1] == same[1, 2] == found[0, 0]
    for array in (np.array([["a", "b"]]), np.array([[1, 2], [3, 1]]), np.array([[1.0, np.nan], [np.nan, 1]])):
        assert_array_equal(Hashed(999)(array), Hashed(999)(array.astype(object)))
        assert_array_equal(Hashed(999)(np.asfortranarray(np.tile(array, (3, 1)))[::2]),
                           Hashed(999)(np.tile(array, (3, 1))[::2].copy()))  # fmt: skip


def test_codes_are_spread() -> None:
    """About as many words in each code as by chance, also where n is no power of two."""
    for n in (64, 100):
        counts = np.bincount(Hashed(n)(np.arange(100_000)), minlength=n)
        expected = 100_000 / n
        assert ((counts - expected) ** 2 / expected).sum() < n + 6 * np.sqrt(2 * n)
    assert set(Hashed(1)(["a", "b", None]).tolist()) == {0}


@pytest.mark.parametrize(
    ("values", "error", "message"),
    [
        ([["a", 1.5]], TypeError, r"values\[0, 1\] must be a string, an integer, None or NaN; got 1.5 \(float\)"),
        (["a", (1, 2), "b"], TypeError, r"values\[1\] must be .*got \(1, 2\) \(tuple\)"),
        (["a", object], TypeError, r"values\[1\] must be a string"),
        (np.array([1.0, np.inf]), TypeError, r"values\[1\] must be.*inf"),
        (np.array([1.0, 0.5]), TypeError, r"values\[1\] must be"),
        ([1.0, 1e300, float("inf")], TypeError, r"values\[2\] must be.*inf"),
        (["a", "\ud800"], ValueError, r"values\[1\] must be text that UTF-8 can hold; got '\\ud800'"),
        (np.array(["a", "\ud800"]), ValueError, r"values\[1\] must be text that UTF-8 can hold"),
        (np.array([1 + 1j]), TypeError, "got dtype complex128"),
        (np.array(["2020"], "M8[Y]"), TypeError, "got dtype datetime64"),
        ("word", TypeError, "must be an array of categories; got 'word'"),
        (7, ValueError, "must have rows; got 7"),
        (np.ma.array(["a"]), TypeError, "without a mask"),
        ([10**5000], TypeError, r"values\[0\] must be a string"),
    ],
)
def test_refused(values: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        Hashed(100)(values)


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        ((0,), ValueError),
        ((2**32 + 1,), ValueError),
        ((1.5,), TypeError),
        ((5, -1), ValueError),
        ((5, 2**32), ValueError),
    ],
)
def test_arguments(arguments: Any, error: type[Exception]) -> None:
    with pytest.raises(error, match="must be an integer"):
        Hashed(*arguments)
    with pytest.raises(TypeError, match="salted must be True or False"):
        Hashed(5, salted=1)  # type: ignore[arg-type]


def test_it_does_not_change() -> None:
    hashed = Hashed(2**18, 3, salted=False)
    assert repr(hashed) == "Hashed(262144, seed=3, salted=False)" and repr(Hashed(7)) == "Hashed(7)"
    for other in (copy.deepcopy(hashed), pickle.loads(pickle.dumps(hashed)), eval(repr(hashed))):
        assert other == hashed and hash(other) == hash(hashed)
    assert hashed not in (Hashed(2**18, 3), Hashed(2**18, salted=False), Hashed(5, 3, salted=False), 5)
    with pytest.raises(AttributeError):
        hashed.n = 5  # type: ignore[misc]


def test_the_same_whatever_the_hash_seed() -> None:
    code = "import schuss; print(schuss.Hashed(2**30)(['x', 'y', None, 3]).tolist())"
    wanted = f"{Hashed(2**30)(['x', 'y', None, 3]).tolist()}\n"
    for seed in ("0", "1"):
        environment = {**os.environ, "PYTHONHASHSEED": seed}
        found = subprocess.run(
            [sys.executable, "-c", code], env=environment, capture_output=True, check=True, text=True
        )
        assert found.stdout == wanted
