"""Which optimizers are compared, with which arguments, and around which rate the search for theirs begins."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from math import log2
from typing import TYPE_CHECKING, Any

import numpy as np

from ..arguments import check_labels, number, shown
from ..optim import BY_NAME, Optimizer, by_name

if TYPE_CHECKING:
    from numpy.typing import NDArray

# Label -> name and arguments.
DEFAULTS: dict[str, tuple[str, dict[str, Any]]] = {
    "SGD": ("sgd", {}),
    "SGD + momentum": ("sgd", {"momentum": 0.9}),
    "AdaGrad": ("adagrad", {}),
    "RMSProp": ("rmsprop", {}),
    "Adam": ("adam", {}),
    "AdamW": ("adamw", {}),
    "Lion": ("lion", {}),
}
# Where good rates of small networks mostly are; of others, it is the default of their class.
USUAL = {
    "sgd": 2.0**-4,
    "adagrad": 2.0**-6,
    "rmsprop": 2.0**-9,
    "adam": 2.0**-8,
    "adamw": 2.0**-8,
    "nadam": 2.0**-8,
    "radam": 2.0**-8,
    "lion": 2.0**-11,
    "signum": 2.0**-11,
}
EXPECTED = "names, classes, (name, arguments) or a dict of these by label"


@dataclass(frozen=True)
class Candidate:
    """An optimizer to be compared.

    Attributes
    ----------
    label : str
    kind : type of Optimizer
    arguments : dict
        All but the parameters and the rate.
    usual : float
        The rate around which the search begins, a power of two.
    """

    label: str
    kind: type[Optimizer]
    arguments: dict[str, Any]
    usual: float

    @property
    def name(self) -> str:
        """Of the optimizer."""
        return self.kind._name

    def made(self, parameters: Any, lr: float) -> Optimizer:
        """One over these parameters."""
        return self.kind(parameters, **{**self.kind._of_network, **self.arguments, "lr": lr})


def resolve(given: Any) -> list[Candidate]:
    """The candidates that are asked for.

    Raises
    ------
    ValueError, TypeError
        If one is not known, not as described or there twice; the message says which.
    """
    if given is None:
        given = DEFAULTS
    if isinstance(given, str) or (isinstance(given, type) and issubclass(given, Optimizer)):
        given = [given]
    if isinstance(given, Mapping):
        places = [(f"optimizers[{shown(label)}]", label, one) for label, one in given.items()]
    elif isinstance(given, Iterable):
        places = [(f"optimizers[{k}]", None, one) for k, one in enumerate(given)]
    else:
        raise TypeError(f"optimizers must be {EXPECTED}; got {shown(given)} ({type(given).__name__})")
    found = [_candidate(*place) for place in places]
    check_labels("optimizers", [one.label for one in found])
    return found


def _candidate(where: str, label: Any, given: Any) -> Candidate:
    arguments: dict[str, Any] = {}
    if isinstance(given, (tuple, list)):
        if len(given) != 2 or not isinstance(given[1], Mapping):
            raise TypeError(f"{where} must be a name, a class or (name, arguments); got {shown(given)}")
        given, arguments = given[0], dict(given[1])
    if isinstance(given, str) and given in DEFAULTS and not arguments:
        label, (given, arguments) = label or given, DEFAULTS[given]
    if isinstance(given, str):
        try:
            kind = by_name(given.lower() if given.lower() in BY_NAME else given)
        except ValueError as error:
            raise ValueError(f"{where}: {error}") from None
    elif isinstance(given, type) and issubclass(given, Optimizer):
        kind = given
    else:
        raise TypeError(
            f"{where} must be a name, a class or (name, arguments), so that each training gets one of its own; "
            f"got {shown(given)} ({type(given).__name__})"
        )
    if label is not None and not isinstance(label, str):
        raise TypeError(f"optimizers must have labels that are text; got {shown(label)} ({type(label).__name__})")
    if "params" in arguments:
        raise ValueError(f"{where}: arguments must be without params; got {shown(sorted(arguments))}")
    rate = arguments.pop("lr", None)
    around = _usual(kind) if rate is None else number(f"{where}: lr", rate, "(0, inf)")
    found = Candidate(label or _label(kind, arguments), kind, arguments, _power_of_two(around))
    parameter: NDArray[Any] = np.zeros((2, 2), np.float32)
    try:
        found.made([parameter], found.usual)
    except (ValueError, TypeError) as error:
        raise type(error)(f"{where}: {error}") from None
    return found


def _label(kind: type[Optimizer], arguments: Mapping[str, Any]) -> str:
    for label, (name, of_default) in DEFAULTS.items():
        if kind._name == name and arguments == of_default:
            return label
    said = ", ".join(f"{name}={value}" for name, value in arguments.items())
    return f"{kind.__name__}({said})" if said else kind.__name__


def _usual(kind: type[Optimizer]) -> float:
    if kind._name in USUAL:
        return USUAL[kind._name]
    probe: Any = kind([np.zeros((2, 2), np.float32)])
    return float(probe.param_groups[0]["lr"])


def _power_of_two(rate: float) -> float:
    """The nearest one: rates of a ladder by twos are then exact."""
    return float(2.0 ** round(log2(rate)))
