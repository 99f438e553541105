"""Where words of other libraries are met: in names of modules, attributes, and arguments that a function does not take.

What is said then is in `hints`, which is loaded only there. The ways here cost a call nothing, or next to nothing.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import wraps
from typing import Any, NoReturn, TypeVar, cast

F = TypeVar("F", bound=Callable[..., Any])
C = TypeVar("C", bound=type)


def unknown(module: str, name: str) -> AttributeError | ImportError:
    """The error for a name that a module does not have: for its `__getattr__`, which raises it."""
    asking = sys._getframe(2)
    # An import statement asks for each name before it looks for a file of that name, and needs no message.
    if name.startswith("_") or asking.f_code.co_name == "_handle_fromlist":
        return AttributeError(f"module {module!r} has no attribute {name!r}")
    from .hints import missing_name

    return missing_name(module, name, asking)


def teller(module: str) -> Callable[[str], NoReturn]:
    """The `__getattr__` of a module that has all its names from the start."""

    def told(name: str) -> NoReturn:
        raise unknown(module, name)

    return told


class Missing:
    """An attribute that objects of a class do not have: `hasattr` says so, and AttributeError what stands for it.

    A `__getattr__` of the class would make every look-up of an attribute slower, found or not.
    """

    __slots__ = ("name", "section")

    def __init__(self, section: str, name: str) -> None:
        self.section, self.name = section, name

    def __get__(self, instance: object, owner: type) -> NoReturn:
        from .hints import missing_attribute

        raise missing_attribute(self.section, owner.__name__, self.name, instance is None)

    def __repr__(self) -> str:
        from .hints import ATTRIBUTES

        return f"<not there; here: {ATTRIBUTES[self.section][self.name]}>"


class MissingToo(Missing):
    """The same of one that looks as if it counted where it is set."""

    __slots__ = ()

    def __set__(self, instance: object, value: object) -> NoReturn:
        self.__get__(instance, type(instance))


def meets(section: str, names: str, not_to_be_set: str = "") -> Callable[[C], C]:
    """A class whose objects are asked for attributes that only those of other libraries have.

    Parameters
    ----------
    section : str
        Of the hints.
    names, not_to_be_set : str
        The attributes, with blanks between them.
    """

    def decorate(cls: C) -> C:
        for name in names.split():
            setattr(cls, name, Missing(section, name))
        for name in not_to_be_set.split():
            setattr(cls, name, MissingToo(section, name))
        cls.__dir__ = _names_there  # type: ignore[method-assign, assignment]
        return cls

    return decorate


def _names_there(self: object) -> list[str]:
    """What `dir` shows of an object: without the words of others."""
    own = [vars(cls) for cls in type(self).__mro__]
    instance = getattr(self, "__dict__", {})
    return [
        name
        for name in object.__dir__(self)
        if name in instance or not isinstance(next((names[name] for names in own if name in names), None), Missing)
    ]


def hinted(section: str) -> Callable[[F], F]:
    """A function whose TypeError for unknown arguments tells what they are called here. Signature and types stay."""

    def decorate(function: F) -> F:
        @wraps(function)
        def called(*args: Any, **kwargs: Any) -> Any:
            try:
                return function(*args, **kwargs)
            except TypeError as error:
                # Without another frame, the function was not entered: its arguments did not fit.
                if error.__traceback__ is None or error.__traceback__.tb_next is not None:
                    raise
                from .hints import of_call

                hint = of_call(section, function, args, kwargs)
                if hint is None:
                    raise
                raise TypeError(hint) from None

        return cast("F", called)

    return decorate
