"""What arguments an optimizer takes: torch's where torch has it, those of `schuss` behind them."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any

from ..optim.precision import PLAIN

# How torch may make a step. None of it has an effect here, and those of REFUSED must be False.
OF_TORCH: Mapping[str, Any] = {"foreach": None, "capturable": False, "differentiable": False, "fused": None}
REFUSED = ("capturable", "differentiable")
# Arguments of whole optimizers, not of groups.
OF_ALL: Mapping[str, Any] = {"clip_norm": None, **PLAIN._asdict()}
# Arguments of `schuss` that stand for what torch's users do otherwise: by groups, or by another class.
_NOT_HERE = ("params", "no_decay", "dialect", "rows", "adamw")


def signature_of(kind: Callable[..., Any], like: Callable[..., Any] | None) -> inspect.Signature:
    """The arguments of an optimizer of `schuss`, and of torch's that it stands for, as one list of torch's order."""
    ours = dict(inspect.signature(kind).parameters)
    if like is None:
        params = inspect.Parameter("params", inspect.Parameter.POSITIONAL_OR_KEYWORD, annotation="ParamsT")
        found = {"params": params, **{name: p for name, p in ours.items() if name not in _NOT_HERE}}
    else:
        found = dict(inspect.signature(like).parameters)
    for name, parameter in ours.items():
        if name not in found and name not in _NOT_HERE:
            found[name] = parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY)
    for name, default in {**OF_TORCH, **OF_ALL}.items():
        if name not in found:
            found[name] = inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default)
    parameters = sorted(found.values(), key=lambda p: p.kind)
    return inspect.Signature(parameters, return_annotation=None)


def arguments_of(
    signature: inspect.Signature, name: str, given: tuple[Any, ...], options: Mapping[str, Any]
) -> dict[str, Any]:
    """All arguments of a call, by their names."""
    try:
        bound = signature.bind(*given, **options)
    except TypeError as error:
        raise TypeError(f"{name}: {error}") from None
    bound.apply_defaults()
    return dict(bound.arguments)
