"""State_dicts of the package bitsandbytes, in the words of ours; and back. Its layout is that of version 0.50."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from .. import _core
from ..arguments import shown
from .converted import SCALE, memory_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[Any]

# What it keeps a parameter's buffers in, so that torch does not cast them. Older versions have them beside "step".
NESTED = "__bnb_optimizer_quant_state__"
# States of ours that are never negative, which have the map for that.
SQUARES = frozenset(("exp_avg_sq", "square_avg", "sum"))
# Entries of its groups. Only those of optimizers with two buffers have the last ones.
_OF_ALL = ("lr", "betas", "eps", "weight_decay")
_OF_TWO = ("alpha", "t_alpha", "t_beta3")


class Rule(NamedTuple):
    """An optimizer that both have.

    Attributes
    ----------
    first : tuple of str
        Our states in its first buffer: one, or two that lie one after the other.
    second : str or None
        Our state in its second buffer.
    betas : tuple of (str, int or None)
        Our hyperparameters in its "betas", and their place in ours.
    fixed : dict
        What it has no other of.
    same : dict
        Ours, and the entries of its groups that mean the same, beside lr and weight_decay.
    """

    first: tuple[str, ...]
    second: str | None
    betas: tuple[tuple[str, int | None], ...]
    fixed: Mapping[str, Any]
    same: Mapping[str, str]

    @property
    def buffers(self) -> list[tuple[int, tuple[str, ...]]]:
        """Its buffers by their numbers, with our states in each."""
        return [(1, self.first), *([(2, (self.second,))] if self.second is not None else [])]


_BETAS = (("betas", 0), ("betas", 1))
RULES = {
    "adam": Rule(
        ("exp_avg",), "exp_avg_sq", _BETAS, {"amsgrad": False, "decoupled_weight_decay": True}, {"eps": "eps"}
    ),
    "ademamix": Rule(
        ("exp_avg_fast", "exp_avg_slow"),
        "exp_avg_sq",
        (*_BETAS, ("betas", 2)),
        {},
        {"eps": "eps", "alpha": "alpha", "alpha_warmup": "t_alpha", "beta3_warmup": "t_beta3"},
    ),
    "lion": Rule(("exp_avg",), None, _BETAS, {}, {}),
    "sgd": Rule(("momentum_buffer",), None, (("momentum", None),), {"dampening": 0.0, "nesterov": False}, {}),
    "rmsprop": Rule(("square_avg",), None, (("alpha", None),), {"momentum": 0.0, "centered": False}, {"eps": "eps"}),
    "adagrad": Rule(("sum",), None, (), {"lr_decay": 0.0}, {"eps": "eps"}),
}


def is_theirs(state_dict: Any) -> bool:
    """Whether it is bitsandbytes' state_dict."""
    if not isinstance(state_dict, Mapping):
        return False
    state, groups = state_dict.get("state"), state_dict.get("param_groups")
    if not isinstance(state, Mapping) or not isinstance(groups, (list, tuple)):
        return False
    if state:
        return any(isinstance(entry, Mapping) and (NESTED in entry or "state1" in entry) for entry in state.values())
    return bool(groups) and all(
        isinstance(group, Mapping) and {"betas", "eps"} <= set(group) and not {"maximize", "amsgrad"} & set(group)
        for group in groups
    )


def taken(
    state_dict: Mapping[str, Any],
    rules: Sequence[str],
    in_order: Sequence[Sequence[bool]],
    make: Callable[[Array], Any] = np.asarray,
) -> dict[str, Any]:
    """Its state_dict as one of ours. Codes of 8 bits stay what they are where its map is ours.

    Parameters
    ----------
    state_dict : dict
        As `is_theirs` knows it.
    rules : list of str
        The core's rule of each group.
    in_order : list of lists of bool
        For each parameter of each group, whether its elements lie in the order of their indices, as its codes do.
        Where they do not, codes become numbers.
    make : callable
        Makes of arrays what the state_dict is to have.

    Raises
    ------
    ValueError
        If it has no optimizer of the rule, or its buffers do not fit each other.
    """
    groups, state = [], dict(state_dict["state"])
    for k, theirs in enumerate(state_dict["param_groups"]):
        if k >= len(rules) or not isinstance(theirs, Mapping):
            groups.append(theirs)  # which will be refused
            continue
        rule = _rule(rules[k])
        groups.append(_our_group(f"state_dict's param_groups[{k}]", rule, theirs))
        for key, plain in zip(theirs.get("params", ()), in_order[k], strict=False):
            if isinstance(state.get(key), Mapping) and state[key]:
                state[key] = _our_entry(f"state_dict's state[{key!r}]", rule, groups[-1], state[key], plain, make)
    return {**state_dict, "state": state, "param_groups": groups}


def given(state_dict: Mapping[str, Any], rules: Sequence[str], no_entries: frozenset[str]) -> dict[str, Any]:
    """A state_dict of ours, of tensors, as bitsandbytes has it: it loads that, and goes on.

    States of 8 bits are codes there too, all others float32. Entries of groups that it does not know stay, but for
    those named.

    Raises
    ------
    ValueError
        If it has no optimizer of the rule, or none with these hyperparameters.
    """
    import torch

    groups, state = [], {}
    for k, (name, ours) in enumerate(zip(rules, state_dict["param_groups"], strict=True)):
        rule = _rule(name)
        kept = {
            key: value
            for key, value in ours.items()
            if key not in _core.setting_names(name) and key not in no_entries and key not in rule.fixed
        }
        groups.append({**_their_group(f"param_groups[{k}]", rule, ours), **kept})
        for key in ours["params"]:
            entry = state_dict["state"].get(key)
            if entry is not None and all(entry.get(of) is not None for of in (rule.first[-1], rule.second) if of):
                state[key] = _their_entry(f"the state of parameter {key}", rule, entry, torch.tensor)
    return {"state": state, "param_groups": groups}


def _rule(name: str) -> Rule:
    if name not in RULES:
        raise ValueError(
            f"bitsandbytes has no optimizer of the rule {name!r} (LAMB and LARS are other rules there), expected one "
            f"of {', '.join(RULES)}"
        )
    return RULES[name]


# -- groups ----------------------------------------------------------------------------------------------------------


def _our_group(where: str, rule: Rule, theirs: Mapping[str, Any]) -> dict[str, Any]:
    for name in _OF_ALL:
        if name not in theirs:
            raise ValueError(f"{where} must have {', '.join(_OF_ALL)}, as bitsandbytes has; {name} is missing")
    betas = theirs["betas"]
    if not isinstance(betas, (list, tuple)) or len(betas) < len(rule.betas):
        raise ValueError(f"{where}['betas'] must be {max(len(rule.betas), 2)} numbers; got {shown(betas)}")
    found = {key: value for key, value in theirs.items() if key not in (*_OF_ALL, *_OF_TWO)}
    found.update(lr=theirs["lr"], weight_decay=theirs["weight_decay"], maximize=False, **rule.fixed)
    for place, (name, part) in enumerate(rule.betas):
        found[name] = betas[place] if part is None else tuple(betas[: len(rule.betas)])
    for name, entry in rule.same.items():
        found[name] = theirs.get(entry) or 0.0  # None: no warm-up
    return found


def _their_group(where: str, rule: Rule, ours: Mapping[str, Any]) -> dict[str, Any]:
    no_decay = not float(ours["weight_decay"])
    for name, value in {"maximize": False, "dialect": "torch", **rule.fixed}.items():
        if ours.get(name, value) != value and not (name == "decoupled_weight_decay" and no_decay):
            raise ValueError(f"{where}[{name!r}] must be {value!r}, as bitsandbytes has no other; got {ours[name]!r}")
    betas = [float(ours[name] if part is None else ours[name][part]) for name, part in rule.betas]
    found = {
        "lr": float(ours["lr"]),
        "betas": tuple(betas + [0.0] * (2 - len(betas))),
        "eps": 0.0,
        "weight_decay": float(ours["weight_decay"]),
    }
    if rule.second is not None:
        found.update(alpha=0.0, t_alpha=None, t_beta3=None)
    if rule.betas and rule.betas[0][0] == "momentum" and not betas[0]:
        raise ValueError(f"{where}['momentum'] must be larger than 0, as bitsandbytes has no SGD without; got 0")
    for name, entry in rule.same.items():
        number = float(ours[name])
        found[entry] = number if number or not entry.startswith("t_") else None
    return found


# -- states ----------------------------------------------------------------------------------------------------------


def _our_entry(
    where: str,
    rule: Rule,
    group: Mapping[str, Any],
    theirs: Mapping[str, Any],
    plain: bool,
    make: Callable[[Array], Any],
) -> dict[str, Any]:
    nested = theirs.get(NESTED, {})
    if not isinstance(nested, Mapping):
        raise ValueError(f"{where}[{NESTED!r}] must be a dict; got {shown(nested)}")
    entry = {**theirs, **nested}
    found = {"step": entry.get("step", 0)}
    for k, names in rule.buffers:
        if entry.get(f"state{k}") is None:
            raise ValueError(f"{where} must have 'state{k}', as bitsandbytes has; it is missing")
        buffer = memory_of(entry[f"state{k}"])
        scales, values = (
            None if entry.get(f"{of}{k}") is None else memory_of(entry[f"{of}{k}"]) for of in ("absmax", "qmap")
        )
        if len(names) > 1 and any(of is not None and of.shape[:1] != (2,) for of in (buffer, scales)):
            raise ValueError(f"{where} must have two halves in 'state{k}' and its scales; got shape {buffer.shape}")
        for half, name in enumerate(names):
            if name == "exp_avg_fast" and group["betas"][0] == 0:
                continue  # is the gradient itself
            array = buffer[half] if len(names) > 1 else buffer
            if array.dtype != np.uint8:
                found[name] = make(array)
                continue
            scale = scales[half] if scales is not None and len(names) > 1 else scales
            blocks = (array.size + 255) // 256
            if scale is None or scale.shape != (blocks,) or scale.dtype != np.float32:
                raise ValueError(f"{where} must have 'absmax{k}' in float32 of {blocks} blocks beside 8-bit 'state{k}'")
            if values is None or values.shape != (256,) or not np.isfinite(values).all():
                raise ValueError(f"{where} must have 'qmap{k}' of 256 numbers beside 8-bit 'state{k}'")
            if not array.flags.c_contiguous:
                raise ValueError(f"{where}['state{k}'] must be contiguous, as its blocks follow from how it lies")
            if plain and _is_map(values, _code_of(name)):
                found[name], found[name + SCALE] = make(array), make(scale)
                continue
            numbers = values.astype(np.float32)[array.reshape(-1)] * np.repeat(scale, 256)[: array.size]
            if name in SQUARES:  # which the map for numbers of both signs may have made less than 0
                numbers = np.maximum(numbers, 0)
            found[name] = make(numbers.reshape(array.shape))
    return found


def _their_entry(where: str, rule: Rule, entry: Mapping[str, Any], make: Callable[[Array], Any]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for k, names in rule.buffers:
        code = "8bit_unsigned" if k == 2 else "8bit_signed"
        parts: list[tuple[Array, Array | None]] = []
        for name in names:
            if entry.get(name) is None:  # AdEMAMix's fast mean, where it is the gradient itself
                like = memory_of(entry[names[-1]])
                zeros = np.zeros(like.shape, np.float32)
                parts.append(_narrowed(zeros, code) if like.dtype == np.uint8 else (zeros, None))
                continue
            array, scale = memory_of(entry[name]), None
            if array.dtype == np.uint8:
                if not array.flags.c_contiguous:
                    raise ValueError(
                        f"{where} must be of a contiguous parameter, as its codes are; got {name} that is not"
                    )
                scale = memory_of(entry[name + SCALE])
                if _code_of(name) != code:
                    array, scale = _narrowed(_widened(array, scale, _code_of(name)), code)
            else:
                array = np.ascontiguousarray(array, np.float32)
            parts.append((array, scale))
        join = np.stack if len(parts) > 1 else lambda of: of[0]
        found[f"state{k}"] = make(join([array for array, _ in parts]))
        scales = [scale for _, scale in parts if scale is not None]
        if scales:
            found[f"qmap{k}"] = make(_map_of(code))
            found[f"absmax{k}"] = make(join(scales))
    return {"step": int(entry["step"]), NESTED: found}


def _code_of(name: str) -> str:
    """How we keep a state in 8 bits."""
    return "8bit_unsigned" if name in SQUARES else "8bit_signed"


def _map_of(code: str) -> Array:
    """The number of each of the 256 codes."""
    return _widened(np.arange(256, dtype=np.uint8), np.ones(1, np.float32), code)


def _is_map(values: Array, code: str) -> bool:
    """Whether it is that map, but for the last places that others' sums of rounded floats differ in."""
    mine = _map_of(code)
    return bool((np.abs(values - mine) <= 2.0**-21 * np.abs(mine)).all())


def _widened(codes: Array, scales: Array, code: str) -> Array:
    found = np.empty(codes.size, np.float32)
    _core.widen(code, codes.reshape(-1), np.ascontiguousarray(scales), found)
    return found.reshape(codes.shape)


def _narrowed(numbers: Array, code: str) -> tuple[Array, Array]:
    codes, scales = np.empty(numbers.size, np.uint8), np.empty((numbers.size + 255) // 256, np.float32)
    _core.narrow(code, numbers.reshape(-1), codes, scales)
    return codes.reshape(numbers.shape), scales
