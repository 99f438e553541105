"""Raw categories as codes, by a hash that is the same everywhere."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from . import _core
from .arguments import flag, integer, shown, unknown_name

if TYPE_CHECKING:
    from numpy.typing import NDArray


class Hashed:
    """Codes from 0 to n - 1 of raw categories: a hash of the text of each, modulo n.

    There is no table of categories to learn, to keep or to grow. Two categories may have one code: of k categories
    about k / n share theirs with another one.

    Parameters
    ----------
    n : int
        How many codes there are, 1 to 2**32.
    seed : int
        Of the hash, 0 to 2**32 - 1.
    salted : bool
        Whether a column's number is added to the seed, so that equal values in different columns have different codes.
        False: they have the same.

    Raises
    ------
    ValueError, TypeError
        If an argument is not as described.

    Notes
    -----
    The hash is MurmurHash3_x86_32 of the bytes of a value's text in UTF-8, the same on every machine and in every
    build. An integer's text are its decimal digits, so that 7 and "7" are one category, and so is 7.0: data frames make
    floats of integers where some are missing. True and False are 1 and 0. Bytes are taken as text in UTF-8. None, NaN,
    and what pandas has for missing values, are a category of their own, that of the byte 255, which no text has. Other
    numbers and objects are errors that name their place.

    Examples
    --------
    >>> import schuss
    >>> site = schuss.Hashed(2**18)
    >>> site(["example.org", "example.com", None, 7])
    array([ 36063, 124723,  61709, 165416])
    >>> net = schuss.Network(
    ...     [schuss.Input("site", 1, dtype=site), schuss.Embedding(2**18, 8), schuss.Dense(1)], seed=0
    ... )
    >>> net.predict([["example.org"], [None]]).shape
    (2, 1)
    """

    __slots__ = ("_n", "_salted", "_seed")

    def __init__(self, n: int, seed: int = 0, *, salted: bool = True) -> None:
        self._n = integer("n", n, 1, 2**32)
        self._seed = integer("seed", seed, 0, 2**32 - 1)
        self._salted = flag("salted", salted)

    @property
    def n(self) -> int:
        """How many codes there are."""
        return self._n

    @property
    def seed(self) -> int:
        """Of the hash."""
        return self._seed

    @property
    def salted(self) -> bool:
        """Whether columns have seeds of their own."""
        return self._salted

    def __call__(self, values: Any) -> NDArray[np.int64]:
        """The codes of values.

        Parameters
        ----------
        values : array_like of str, int, bytes or objects
            (rows,), or (rows, columns).

        Returns
        -------
        array of int64
            Of the same shape.

        Raises
        ------
        ValueError, TypeError
            If a value is none of these; the message names its place.
        """
        array = as_array("values", values)
        return self.codes("values", array, array.shape[1] if array.ndim == 2 else 1)

    def codes(self, name: str, array: Any, columns: int) -> NDArray[np.int64]:
        """The codes of an array whose rows have so many columns, whatever its shape is; messages call it `name`."""
        array = as_array(name, array)
        missing = None
        if array.dtype.kind == "f":
            missing = np.isnan(array)
            array = _integers_of(name, array, missing)
        elif array.dtype.kind in "bi":
            array = array.astype(np.int64, copy=False)
        elif array.dtype.kind == "u":
            array = array.astype(np.uint64, copy=False)
        found, bad = _core.hashed(array, self._n, self._seed, columns, self._salted)
        if bad >= 0:
            raise _refused(name, array, bad)
        if missing is not None and missing.any():
            absent = np.full(columns, None, object)
            of_columns, _ = _core.hashed(absent, self._n, self._seed, columns, self._salted)
            at = np.flatnonzero(missing)
            found[at] = of_columns[at % columns]
        return found.reshape(array.shape)

    def described(self) -> dict[str, Any]:
        """What a file holds of it."""
        return {"kind": "hashed", "n": self._n, "seed": self._seed, "salted": self._salted}

    @classmethod
    def of_description(cls, described: Mapping[str, Any]) -> Hashed:
        """The one that `described` tells of."""
        known = ("kind", "n", "seed", "salted")
        for name in described:
            if name not in known:
                raise unknown_name("dtype's field", name, known)
        if described.get("kind") != "hashed" or "n" not in described:
            raise ValueError(f"dtype must be of kind 'hashed' with n; got {shown(dict(described))}")
        return cls(described["n"], described.get("seed", 0), salted=described.get("salted", True))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Hashed) and self.described() == other.described()

    def __hash__(self) -> int:
        return hash((Hashed, self._n, self._seed, self._salted))

    def __repr__(self) -> str:
        seed = f", seed={self._seed}" if self._seed else ""
        return f"Hashed({self._n}{seed}{'' if self._salted else ', salted=False'})"

    def __reduce__(self) -> tuple[Any, ...]:
        return Hashed.of_description, (self.described(),)


def as_array(name: str, values: Any) -> NDArray[Any]:
    """Values as an array of one of the kinds that have codes. A list of several kinds is one of objects."""
    if isinstance(values, np.ma.MaskedArray):
        raise TypeError(f"{name} must be an array without a mask; got a masked array: fill it or drop the rows")
    if isinstance(values, (str, bytes)):
        raise TypeError(f"{name} must be an array of categories; got {shown(values)} ({type(values).__name__})")
    if isinstance(values, np.ndarray) or hasattr(values, "__array__"):
        array = np.asarray(values)
    else:  # as text, numbers would be other categories: "True" and "nan"
        array = np.array(values, dtype=object)
    if array.dtype.kind not in "OUSbiuf":
        raise TypeError(f"{name} must hold strings, integers, None or NaN; got dtype {array.dtype}")
    if array.ndim == 0:
        raise ValueError(f"{name} must have rows; got {shown(values)} ({type(values).__name__})")
    return array


def _integers_of(name: str, array: NDArray[Any], missing: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Floats that are whole, and 0 where they are missing."""
    with np.errstate(invalid="ignore"):
        good = missing | ((array == np.floor(array)) & (array >= -(2.0**63)) & (array < 2.0**63))
    if not good.all():
        raise _refused(name, array, int(good.reshape(-1).argmin()))
    return np.where(missing, 0, array).astype(np.int64)


def _refused(name: str, array: NDArray[Any], k: int) -> Exception:
    at = ", ".join(str(int(index)) for index in np.unravel_index(k, array.shape))
    value = array[np.unravel_index(k, array.shape)]
    if isinstance(value, str):
        return ValueError(f"{name}[{at}] must be text that UTF-8 can hold; got {value!a}")
    kind = type(value).__name__
    return TypeError(f"{name}[{at}] must be a string, an integer, None or NaN; got {shown(value)} ({kind})")
