"""Groups of parameters by patterns of their names."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from ..arguments import flag, shown, unknown_name
from ..structure import fits

if TYPE_CHECKING:
    from numpy.typing import NDArray


def parameter_groups(
    named: Mapping[str, NDArray[Any]], patterns: Mapping[str, Mapping[str, Any]]
) -> list[dict[str, Any]]:
    """Groups for an optimizer, from hyperparameters by patterns of names.

    Parameters
    ----------
    named : dict of arrays
        As `Network.named_parameters` gives them.
    patterns : dict of dicts
        Pattern, as of fnmatch ("layers.0.*", "*.bias"), to what the arrays that fit it get: an optimizer's
        hyperparameters, such as ``{"weight_decay": 0.0}``; ``{"lr_factor": 0.1}``, which multiplies the learning rate,
        also that of a schedule; or ``{"frozen": True}``, which leaves them out: they are not changed, and their
        gradients cost nothing. Where several patterns fit an array, later ones add to earlier ones and override them.

    Returns
    -------
    list of dict
        A group for each combination that occurs, in the order of first occurrence, its "params" a dict of named arrays.

    Raises
    ------
    ValueError, TypeError
        If a pattern fits no name, all arrays are frozen, or an argument is not as described.

    Examples
    --------
    >>> import schuss
    >>> net = schuss.Network([schuss.Dense(4, 16, "relu"), schuss.Dense(16, 3)], seed=0)
    >>> groups = net.parameter_groups({"layers.0.*": {"frozen": True}, "*.bias": {"lr_factor": 0.1}})
    >>> [list(group["params"]) for group in groups]
    [['layers.1.weight'], ['layers.1.bias']]
    >>> optimizer = schuss.Adam(groups, lr=1e-3)
    """
    if not isinstance(patterns, Mapping):
        raise TypeError(f"patterns must be a dict of dicts; got {shown(patterns)} ({type(patterns).__name__})")
    for pattern, options in patterns.items():
        if not isinstance(pattern, str):
            raise TypeError(f"patterns must have names; got {shown(pattern)} ({type(pattern).__name__})")
        if not isinstance(options, Mapping) or "params" in options:
            raise TypeError(f"patterns[{pattern!r}] must be a dict of hyperparameters; got {shown(options)}")
        if not any(fits(name, pattern) for name in named):
            raise unknown_name("patterns' name", pattern, named)
    groups: list[dict[str, Any]] = []
    for name, array in named.items():
        options = {}
        for pattern, given in patterns.items():
            if fits(name, pattern):
                options.update(given)
        if flag("frozen", options.pop("frozen", False)):
            continue
        for group in groups:
            if {key: value for key, value in group.items() if key != "params"} == options:
                group["params"][name] = array
                break
        else:
            groups.append({"params": {name: array}, **options})
    if not groups:
        raise ValueError("patterns must leave an array to train; got all of them frozen")
    return groups
