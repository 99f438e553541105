"""The form in which an optimizer was given its parameters, and gradients of the same form.

An array, a list, a dict, or groups of these. Inside, everything is flat and in the caller's order: over the groups, and
over the arrays of each. A flat list of gradients has that order, and the numbers of a state_dict should.
`without_decay` moves arrays to other groups and leaves the order as it is.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence, Set
from operator import itemgetter
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from . import foreign
from .arguments import flag, integer, shown, unknown_name
from .rows import Rows

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from .foreign import Memory

    # A group: "params", which is one of the first three, and hyperparameters of its own.
    Params = Memory | Iterable[Memory] | Mapping[str, Memory] | Iterable[Mapping[str, Any]] | Mapping[str, Any]
    Gradient = Memory | Rows | None
    Grads = (
        Gradient | Iterable[Gradient] | Mapping[str, Gradient] | Iterable[Iterable[Gradient] | Mapping[str, Gradient]]
    )
    NoDecay = bool | str | Iterable[str] | Callable[[str | int, NDArray[Any]], bool] | None

_ndarray = np.ndarray


class Entry(NamedTuple):
    """A parameter: the number of its group; its name in a dict, else its place in a list; its memory."""

    group: int
    key: str | int
    array: NDArray[Any]


class Structure:
    """The form of the parameters. It holds no array, and can be pickled.

    Attributes
    ----------
    size : int
        How many arrays there are.
    """

    size: int
    # Whether a list of gradients may be something else than the gradients in order.
    nested = False

    def __init__(self, size: int, prefix: str = "params") -> None:
        self.size = size
        self.prefix = prefix

    def flatten(self, grads: Any, name: str = "grads") -> Sequence[Any]:
        """Gradients of this form, one an array, in the order of the parameters.

        What they are is for the core to check.

        Parameters
        ----------
        grads : array, list, dict or list of groups
            For an array, an array or a list of one. For a list, a list; a single array will do for a list of one. For a
            dict, a dict with the same names, in any order. For groups, a list with one of these for each group, or a
            flat list over all groups.
        name : str
            What messages call them.

        Raises
        ------
        ValueError, TypeError
            If something is missing or too much.
        """
        raise NotImplementedError

    def formed(self, flat: Sequence[Any]) -> Any:
        """Gradients in the order of the parameters, in a form that `flatten` takes."""
        return flat

    def place(self, i: int) -> str:
        """What leads to the i-th array, such as "['weight']" or "[0][2]"."""
        raise NotImplementedError

    def described(self) -> dict[str, Any]:
        """What a file holds of it."""
        raise NotImplementedError

    def gradient(self, i: int) -> str:
        """What messages call the gradient of the i-th array."""
        return "grads" + self.place(i)

    def parameter(self, i: int) -> str:
        """What messages call the i-th array."""
        return self.prefix + self.place(i)


class _Listed(Structure):
    """A list."""

    def flatten(self, grads: Any, name: str = "grads") -> Sequence[Any]:
        if type(grads) is list or type(grads) is tuple:
            found: Sequence[Any] = grads
        elif foreign.speaks(grads) or isinstance(grads, Rows):
            found = (grads,)
        else:
            if isinstance(grads, (str, Mapping, Set)):
                raise self._refusal(grads, name)
            try:
                found = list(grads)
            except TypeError:
                raise self._refusal(grads, name) from None
        if len(found) != self.size:
            raise ValueError(f"{name} has {len(found)} arrays, expected {self.size}, one for each parameter")
        return found

    def _refusal(self, grads: Any, name: str) -> TypeError:
        expected = "an array" if self.size == 1 else f"a list of {self.size} arrays, in the order of the parameters"
        return TypeError(f"{name} must be {expected}; got {shown(grads)} ({type(grads).__name__})")

    def place(self, i: int) -> str:
        return f"[{i}]"

    def described(self) -> dict[str, Any]:
        return {"kind": "list", "size": self.size, "prefix": self.prefix}


class _Single(_Listed):
    """One array: a list of one whose only place has no number."""

    def __init__(self, prefix: str = "params") -> None:
        super().__init__(1, prefix)

    def place(self, i: int) -> str:
        return ""

    def described(self) -> dict[str, Any]:
        return {"kind": "array", "prefix": self.prefix}


class _Named(Structure):
    """A dict of arrays."""

    nested = True

    def __init__(self, names: list[str], prefix: str = "params") -> None:
        super().__init__(len(names), prefix)
        self.names = names
        self._get = itemgetter(*names)

    def flatten(self, grads: Any, name: str = "grads") -> Sequence[Any]:
        if type(grads) is not dict and not isinstance(grads, Mapping):
            raise TypeError(
                f"{name} must be a dict of arrays with the names of the parameters, {_some(self.names)}; "
                f"got {shown(grads)} ({type(grads).__name__})"
            )
        if len(grads) == self.size:
            try:
                found = self._get(grads)
            except KeyError:
                pass
            else:
                return found if self.size > 1 else (found,)
        raise self._other_names(grads, name)

    def _other_names(self, grads: Mapping[Any, Any], name: str) -> ValueError:
        missing = [known for known in self.names if known not in grads]
        lack = f"{name} has no {_some(missing)}" if missing else ""
        known_names = set(self.names)
        extra = [given for given in grads if given not in known_names]
        if not extra:
            return ValueError(f"{lack}; expected one for each parameter")
        error = unknown_name(f"{name}'s name", extra[0], self.names)
        return ValueError(f"{error}; {lack}") if missing else error

    def formed(self, flat: Sequence[Any]) -> Any:
        return dict(zip(self.names, flat, strict=True))

    def place(self, i: int) -> str:
        return f"[{self.names[i]!r}]"

    def described(self) -> dict[str, Any]:
        return {"kind": "dict", "names": self.names, "prefix": self.prefix}


class _Grouped(Structure):
    """A list of groups, each of which holds one of the above."""

    nested = True

    def __init__(self, parts: list[Structure]) -> None:
        super().__init__(sum(part.size for part in parts))
        self.parts = parts
        self._flat = _Listed(self.size)

    def flatten(self, grads: Any, name: str = "grads") -> Sequence[Any]:
        if type(grads) is not list and type(grads) is not tuple:
            return self._flat.flatten(grads, name)
        for grad in grads:
            if type(grad) is not _ndarray and isinstance(grad, (list, tuple, Mapping)):
                break
        else:
            return self._flat.flatten(grads, name)
        if len(grads) != len(self.parts):
            raise ValueError(
                f"{name} has {len(grads)} groups, expected {len(self.parts)}, one for each group of params"
            )
        flat: list[Any] = []
        for k, part in enumerate(self.parts):
            flat += part.flatten(grads[k], f"{name}[{k}]")
        return flat

    def place(self, i: int) -> str:
        k, i = self._find(i)
        return f"[{k}]{self.parts[k].place(i)}"

    def parameter(self, i: int) -> str:
        k, i = self._find(i)
        return self.parts[k].parameter(i)

    def described(self) -> dict[str, Any]:
        return {"kind": "groups", "parts": [part.described() for part in self.parts]}

    def _find(self, i: int) -> tuple[int, int]:
        """The group of the i-th array, and its place there."""
        for k, part in enumerate(self.parts):
            if i < part.size:
                return k, i
            i -= part.size
        raise IndexError(i)


def _some(names: Sequence[str]) -> str:
    shown_names = ", ".join(map(repr, names[:5]))
    return shown_names if len(names) <= 5 else f"{shown_names} and {len(names) - 5} more"


def listed(size: int) -> Structure:
    """The form of a list of so many."""
    return _Listed(size)


def of_description(described: Any) -> Structure:
    """The form that a file describes as `Structure.described` does. ValueError, TypeError: it is none."""
    kind, rest = described["kind"], {key: value for key, value in described.items() if key != "kind"}
    prefix = rest.pop("prefix", "params")
    if not isinstance(prefix, str):
        raise TypeError(f"its form must have a prefix that is text; got {shown(prefix)}")
    if kind == "list" and set(rest) == {"size"}:
        return _Listed(integer("its form's size", rest["size"], 1), prefix)
    if kind == "array" and not rest:
        return _Single(prefix)
    if kind == "dict" and set(rest) == {"names"}:
        names = rest["names"]
        if not isinstance(names, list) or not names or not all(isinstance(name, str) for name in names):
            raise TypeError(f"its form must have names that are text; got {shown(names)}")
        if len(set(names)) != len(names):
            raise ValueError("its form must have each name once")
        return _Named(names, prefix)
    if kind == "groups" and set(rest) == {"parts"} and isinstance(rest["parts"], list) and rest["parts"]:
        parts = [of_description(part) for part in rest["parts"]]
        if not any(isinstance(part, _Grouped) for part in parts):
            return _Grouped(parts)
    raise ValueError(f"its form is none that parameters have; got {shown(described)}")


# ---- reading ---------------------------------------------------------------------------------------------------------


def read(params: Any) -> tuple[list[Entry], list[dict[str, Any]], Structure]:
    """Parameters in any form.

    Parameters
    ----------
    params : array, iterable of arrays, dict of arrays, group, or iterable of groups
        An array is an ndarray or other memory (see `foreign.target`). A group is a dict with "params", which is one of
        the first three, and hyperparameters. A dict that has the name "params" is a group.

    Returns
    -------
    entries : list of Entry
        Flat, in the order given.
    options : list of dict
        The hyperparameters that each group brought.
    structure : Structure
        For gradients of the same form.

    Raises
    ------
    ValueError, TypeError
        If there is no array, or something that cannot be updated in place.
    """
    if isinstance(params, Mapping) and "params" in params:
        keys, arrays, structure = _arrays("params['params']", params["params"])
        return _entries([(keys, arrays)]), [_options(params)], structure
    if not foreign.speaks(params) and not isinstance(params, (str, Mapping, Set)) and isinstance(params, Iterable):
        params = list(params)
        if any(isinstance(item, Mapping) for item in params):
            return _groups(params)
    keys, arrays, structure = _arrays("params", params)
    return _entries([(keys, arrays)]), [{}], structure


def _groups(items: list[Any]) -> tuple[list[Entry], list[dict[str, Any]], Structure]:
    found: list[tuple[list[Any], list[NDArray[Any]]]] = []
    parts = []
    for index, item in enumerate(items):
        if not isinstance(item, Mapping) or "params" not in item:
            raise TypeError(f"params[{index}] must be a dict with 'params' like the others; got {shown(item)}")
        keys, arrays, part = _arrays(f"params[{index}]['params']", item["params"])
        found.append((keys, arrays))
        parts.append(part)
    return _entries(found), [_options(item) for item in items], _Grouped(parts)


def _entries(groups: list[tuple[list[Any], list[NDArray[Any]]]]) -> list[Entry]:
    return [
        Entry(index, key, array)
        for index, (keys, arrays) in enumerate(groups)
        for key, array in zip(keys, arrays, strict=True)
    ]


def _options(group: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in group.items() if key != "params"}


def _arrays(prefix: str, value: Any) -> tuple[list[Any], list[NDArray[Any]], Structure]:
    """Keys and arrays of an array, an iterable or a dict, and the form of it."""
    if foreign.speaks(value):
        return [0], [foreign.target(prefix, value)], _Single(prefix)
    if isinstance(value, (str, Set)) or not isinstance(value, Iterable):
        hint = ": its parameters are wanted, as net.parameters" * hasattr(value, "parameters")
        raise TypeError(
            f"{prefix} must be an array, a list or a dict of arrays{', or groups as dicts' * (prefix == 'params')}; "
            f"got {shown(value)} ({type(value).__name__}){hint}"
        )
    items = dict(value) if isinstance(value, Mapping) else list(value)
    if not items:
        raise ValueError(f"{prefix} must hold at least one array; got none")
    if isinstance(items, dict):
        for name in items:
            if not isinstance(name, str):
                raise TypeError(f"{prefix} must have names that are text; got {shown(name)} ({type(name).__name__})")
        arrays = [foreign.target(f"{prefix}[{name!r}]", item) for name, item in items.items()]
        return list(items), arrays, _Named(list(items), prefix)
    for index, item in enumerate(items):
        if isinstance(item, tuple) and len(item) == 2 and isinstance(item[0], str):
            raise TypeError(
                f"{prefix}[{index}] must be an array; got a name and {shown(item[1])}: give dict(...) of them"
            )
    arrays = [foreign.target(f"{prefix}[{index}]", item) for index, item in enumerate(items)]
    return list(range(len(items))), arrays, _Listed(len(items), prefix)


# ---- decay -----------------------------------------------------------------------------------------------------------


def without_decay(
    entries: list[Entry], options: list[dict[str, Any]], no_decay: Any
) -> tuple[list[Entry], list[dict[str, Any]]]:
    """Entries and options where the weight decay of some arrays is 0.

    They go to a new group, which has the options of their old one and ``weight_decay`` 0, and stands after all groups
    that were given. So these keep their numbers, and the entries their order. Where all arrays of a group are without
    decay, it stays as it is, with ``weight_decay`` 0.

    Parameters
    ----------
    entries, options
        As `read` gives them.
    no_decay : bool, str, iterable of str, callable or None
        True: arrays of at most one dimension, which are biases and scales. Names, or patterns as of fnmatch: the arrays
        of a dict that have them; each must fit one. A callable: of name (in a list: place) and array, whether it is
        without decay. False, None: no array.

    Raises
    ------
    ValueError, TypeError
        If a name is no array's, or no_decay is something else.
    """
    without = _without(entries, no_decay)
    entries, options = list(entries), [dict(given) for given in options]
    for group in range(len(options)):
        members = [i for i, entry in enumerate(entries) if entry.group == group]
        moved = [i for i in members if without[i]]
        if not moved:
            continue
        if len(moved) == len(members):
            options[group]["weight_decay"] = 0.0
            continue
        options.append({**options[group], "weight_decay": 0.0})
        for i in moved:
            entries[i] = entries[i]._replace(group=len(options) - 1)
    return entries, options


def _without(entries: list[Entry], no_decay: Any) -> list[bool]:
    if no_decay is None or isinstance(no_decay, (bool, np.bool_)):
        return [bool(no_decay) and entry.array.ndim <= 1 for entry in entries]
    if callable(no_decay):
        return [flag(f"no_decay({entry.key!r}, ...)", no_decay(entry.key, entry.array)) for entry in entries]
    if isinstance(no_decay, Mapping) or not isinstance(no_decay, Iterable):
        raise TypeError(
            f"no_decay must be True, names, or a function of name and array; got {shown(no_decay)} "
            f"({type(no_decay).__name__})"
        )
    names = [entry.key for entry in entries if isinstance(entry.key, str)]
    patterns = [no_decay] if isinstance(no_decay, str) else list(no_decay)
    for pattern in patterns:
        if not isinstance(pattern, str):
            raise TypeError(f"no_decay must hold names; got {shown(pattern)} ({type(pattern).__name__})")
        if not names:
            raise ValueError("no_decay has names, but params has none: give a dict of arrays, or True or a function")
        if not any(fits(name, pattern) for name in names):
            raise unknown_name("no_decay's name", pattern, names)
    return [isinstance(entry.key, str) and any(fits(entry.key, p) for p in patterns) for entry in entries]


def fits(name: str, pattern: str) -> bool:
    """Whether a name is this one, or fits this pattern as of fnmatch."""
    from fnmatch import fnmatchcase

    return name == pattern or fnmatchcase(name, pattern)
