"""From what an optimizer is given as parameters to arrays in groups."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from ..arguments import shown

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from .base import Params


def groups_of(params: Params) -> list[tuple[list[NDArray[Any]], dict[str, Any]]]:
    """(arrays, given hyperparameters) of each group."""
    if isinstance(params, np.ndarray):
        return [([params], {})]
    if isinstance(params, (str, bytes, Mapping)) or not isinstance(params, Iterable):
        raise TypeError(
            f"params must be an array, a list of arrays or a list of dicts; got {shown(params)} "
            f"({type(params).__name__})"
        )
    items: list[Any] = list(params)
    if not items:
        raise ValueError("params must hold at least one array; got none")
    if not any(isinstance(item, Mapping) for item in items):
        return [([_target("params", k, item) for k, item in enumerate(items)], {})]
    groups = []
    for index, item in enumerate(items):
        if not isinstance(item, Mapping) or "params" not in item:
            raise TypeError(f"params[{index}] must be a dict with 'params' like the others; got {shown(item)}")
        given = {key: value for key, value in item.items() if key != "params"}
        arrays = item["params"]
        if isinstance(arrays, (str, bytes)) or not isinstance(arrays, Iterable):
            raise TypeError(f"params[{index}]['params'] must be an array or a list of arrays; got {shown(arrays)}")
        arrays = [arrays] if isinstance(arrays, np.ndarray) else list(arrays)
        if not arrays:
            raise ValueError(f"params[{index}]['params'] must hold at least one array; got none")
        groups.append(([_target(f"params[{index}]['params']", k, array) for k, array in enumerate(arrays)], given))
    return groups


def _target(name: str, index: int, value: Any) -> NDArray[Any]:
    if not isinstance(value, np.ndarray):
        raise TypeError(
            f"{name}[{index}] must be a numpy.ndarray, which is updated in place; got {shown(value)} "
            f"({type(value).__name__})"
        )
    return value
