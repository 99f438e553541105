"""States on their way in: past torch's casts, and checked."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from typing import Any

from ..arguments import shown
from ..optim.state import MOST_STEPS

torch: Any = import_module("torch")


class Kept:
    """A parameter's states, as what torch's `load_state_dict` does not look into: it casts tensors to the parameter's
    dtype, in which moments of bfloat16 parameters lose their bits."""

    __slots__ = ("entry",)

    def __init__(self, entry: Mapping[str, Any]) -> None:
        self.entry = entry


def kept(optimizer: Any, state_dict: dict[str, Any]) -> dict[str, Any]:
    """The state_dict with states that stay as they are. The last hook before torch loads it."""
    state = state_dict["state"]
    return {**state_dict, "state": {key: Kept(v) if isinstance(v, Mapping) else v for key, v in state.items()}}


def taken_out(state: Mapping[Any, Any]) -> dict[Any, Any]:
    """The states again, each parameter's in a dict of its own."""
    return {key: _taken_out(key, v.entry) if isinstance(v, Kept) else v for key, v in state.items()}


def _taken_out(param: Any, entry: Mapping[str, Any]) -> dict[str, Any]:
    if not isinstance(param, torch.Tensor) or param.device.type == "cpu":
        return dict(entry)
    # What torch's own optimizer will step is as torch would have loaded it.
    found = {}
    for name, value in entry.items():
        if not isinstance(value, torch.Tensor) or name == "step":
            found[name] = value
        else:
            found[name] = value.to(param.device, param.dtype) if param.is_floating_point() else value.to(param.device)
    return found


def steps_of(name: str, entry: Mapping[str, Any], shapes: Mapping[str, tuple[int, ...]]) -> int:
    """The steps that a parameter has made by its states.

    Raises
    ------
    ValueError, TypeError
        If the states are not those of these names and shapes, or lack some.
    """
    wanted = [key for key in shapes if not beside(key)]
    missing = [key for key in wanted if entry.get(key) is None]
    steps = 1 if wanted and not missing else 0  # as of torch's SGD
    if "step" in entry:
        steps = _whole(f"state['step'] of {name}", entry["step"])
    if missing and (steps > 0 or len(missing) < len(wanted)):
        raise ValueError(f"the state of {name} must have {', '.join(wanted)}; {missing[0]} is missing")
    for key, shape in shapes.items():
        value = entry.get(key)
        if value is None:
            continue
        if not isinstance(value, torch.Tensor):
            raise TypeError(f"state[{key!r}] of {name} must be a tensor; got {shown(value)}")
        if value.shape != shape:
            raise ValueError(f"state[{key!r}] of {name} must be of shape {shape}; got {tuple(value.shape)}")
    return steps


def beside(name: str) -> bool:
    """Whether it is no state of a rule, but what there is beside states that are kept in fewer bits."""
    return name in ("master", "low") or name.endswith("_absmax")


def _whole(name: str, value: Any) -> int:
    try:
        count = float(value)
    except (TypeError, ValueError, RuntimeError):
        raise TypeError(f"{name} must be a number; got {shown(value)}") from None
    if not 0 <= count <= MOST_STEPS or count % 1:
        raise ValueError(f"{name} must be a whole number >= 0, at most 2**52; got {shown(value)}")
    return int(count)
