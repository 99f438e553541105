"""States that were kept in one precision, as another keeps them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from .. import _core
from ..arguments import shown

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[Any]

# What there is beside states: parameters in float32, or the lower halves of their bits.
BESIDE = ("master", "low")
# With a state's name, that of what the codes of its blocks are multiples of.
SCALE = "_absmax"
_CODES, _BITS = np.dtype(np.uint8), np.dtype(np.uint16)


def memory_of(value: Any) -> Array:
    """An array, or a tensor of torch's wherever it lies and whatever its dtype, as an array."""
    if hasattr(value, "detach"):
        value = value.detach().cpu()
        try:
            return np.asarray(value)
        except TypeError:  # NumPy has no bfloat16, whose numbers float32 has
            return np.asarray(value.float())
    return np.asarray(value)


def as_tensor(tensor: Callable[[Any], Any], name: str, array: Array) -> Any:
    """A copy of a state as torch's tensor. Bits of bfloat16 become torch's numbers."""
    made = tensor(array)
    if array.dtype != _BITS or name == "low":
        return made
    import torch

    return made.view(torch.bfloat16)


def convert(
    where: str, entry: dict[str, Any], mine: Mapping[str, Array], codes: Mapping[str, str], param: Array
) -> dict[str, Array]:
    """Make the states of a parameter's entry of a state_dict what this optimizer keeps them as, rounded to the nearest.

    What there is beside states is taken out of the entry, and written.

    Parameters
    ----------
    where : str
        The entry in messages.
    entry : dict
        Names and states, in any precision.
    mine : dict of arrays
        Those of this optimizer, a new one's.
    codes : dict
        How each state that can have fewer bits has 8, as `Stepper.codes` has it.
    param : array
        The parameter.

    Returns
    -------
    dict of arrays
        Those of `mine` that are left to be filled, each from the array of its name and dtype in the entry.

    Raises
    ------
    ValueError
        If something does not fit.
    """
    _take_beside(where, entry, mine, param)
    for name in codes:
        scale = entry.pop(name + SCALE, None)
        if entry.get(name) is None:
            if scale is not None:
                raise ValueError(f"{where} must have {name!r} where it has {name + SCALE!r}")
            continue
        array = _numbers(memory_of(entry[name]))
        into = mine.get(name)
        kept = None if into is None else into.dtype
        if array.dtype != kept and (array.dtype in (_CODES, _BITS) or kept in (_CODES, _BITS)):
            array = _wide(f"{where}[{name!r}]", array, scale, codes[name])
            scale = None
            if kept in (_CODES, _BITS):
                array, scale = _narrow(f"{where}[{name!r}]", array, "bfloat16" if kept == _BITS else codes[name])
        entry[name] = array
        if scale is not None:
            entry[name + SCALE] = scale
    return {name: array for name, array in mine.items() if name not in BESIDE}


def _take_beside(where: str, entry: dict[str, Any], mine: Mapping[str, Array], param: Array) -> None:
    master, low = (entry.pop(name, None) for name in BESIDE)
    if master is not None:
        master = memory_of(master)
        if master.shape != param.shape or master.dtype != np.float32:
            raise ValueError(f"{where}['master'] must be float32 of shape {param.shape}; got {_described(master)}")
    if low is not None:
        low = memory_of(low)
        if low.shape != param.shape or low.dtype != _BITS:
            raise ValueError(f"{where}['low'] must be uint16 of shape {param.shape}; got {_described(low)}")
    if "master" in mine:  # which is the parameter, where the entry says no more
        if master is not None:
            mine["master"][...] = master
        elif low is not None and param.dtype != np.float16:
            _core.widen("split", _flat(param.view(_BITS)), _flat(low), mine["master"].reshape(-1))
    elif "low" in mine:
        if low is not None:
            mine["low"][...] = low
        elif master is not None:
            mine["low"][...] = _halves(master, param)


def _halves(master: Array, param: Array) -> Array:
    """The lower halves with which parameters are those of a master, as nearly as they can be."""
    high = np.ascontiguousarray(param).view(_BITS).astype(np.int64) << 16
    off = np.ascontiguousarray(master).view(np.uint32).astype(np.int64) - high
    # Where it is another number altogether, parameters have been set since.
    off[np.abs(off) > 1 << 15] = 0
    return np.minimum(off, (1 << 15) - 1).astype(np.int16).view(_BITS)


def _numbers(array: Array) -> Array:
    """An array whose numbers of bfloat16, which NumPy knows from others alone, are their bits."""
    return array.view(_BITS) if array.dtype.name == "bfloat16" and array.dtype.itemsize == 2 else array


def _wide(where: str, array: Array, scale: Any, code: str) -> Array:
    """The numbers of a state."""
    if array.dtype not in (_CODES, _BITS):
        return array
    scales = None
    if array.dtype == _CODES:
        if code == "bfloat16":
            raise ValueError(f"{where} must have more than 8 bits; got {_described(array)}")
        if scale is None:
            raise ValueError(
                f"{where} must have the scales of its blocks beside it, {SCALE!r}, as it has codes of 8 bits"
            )
        scales = memory_of(scale)
        blocks = (array.size + 255) // 256
        if scales.shape != (blocks,) or scales.dtype != np.float32:
            raise ValueError(f"{where} must have scales in float32 of shape {(blocks,)}; got {_described(scales)}")
        scales = _flat(scales)
    found = np.empty(array.size, np.float32)
    _core.widen("bfloat16" if scales is None else code, _flat(array), scales, found)
    return found.reshape(array.shape)


def _narrow(where: str, array: Array, format: str) -> tuple[Array, Array | None]:
    """Numbers as they are kept, and the scales of their blocks. What are no numbers is left to be refused."""
    if array.dtype.kind != "f":
        return array, None
    with np.errstate(over="ignore", invalid="ignore"):
        real = _flat(array.astype(np.float32))
    kept = np.empty(real.size, _BITS if format == "bfloat16" else _CODES)
    scales = None if format == "bfloat16" else np.empty((real.size + 255) // 256, np.float32)
    _core.narrow(format, real, kept, scales)
    largest = float(np.abs(_flat(array)[np.isfinite(_flat(array))]).max(initial=0))
    if largest >= (float.fromhex("0x1.ffp127") if format == "bfloat16" else float.fromhex("0x1.ffffffp127")):
        raise ValueError(f"{where} must hold numbers that {format.partition('_')[0]} can hold; got {shown(largest)}")
    return kept.reshape(array.shape), scales


def _flat(array: Array) -> Array:
    return np.ascontiguousarray(array).reshape(-1)


def _described(array: Array) -> str:
    return f"{array.dtype} of shape {array.shape}"
