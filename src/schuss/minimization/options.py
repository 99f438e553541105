"""Methods and options: which there are, and what is wrong with those that are given."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from typing import Any

import numpy as np

from ..arguments import choice, flag, integer, number, shown, unknown_name
from ..optim import BY_NAME, EMA, LBFGS, SWA, Muon, Optimizer
from ..optim.averaging import Averaged

# Arguments of optimizers that are no options: they would minimize something else, or the loop here does their work.
_NOT_OPTIONS = {"self", "params", "maximize", "no_decay", "max_iter", "max_eval", "tolerance_grad", "tolerance_change"}
# What pulls towards zero by default in some of them. The minimum asked for is the function's own.
_DECAYS = ("weight_decay", "lambd")


@dataclass
class Options:
    """The options that every method has, checked."""

    maxiter: int = 10_000
    maxfun: int | None = None
    maxtime: float | None = None
    gtol: float | None = None
    norm: float = np.inf
    ftol: float = 0.0
    patience: int | None = None
    f_target: float | None = None
    best: bool | None = None
    average: float | str | None = None
    average_start: int = 1
    smooth: int = 100
    shape: tuple[int, ...] | None = None
    finite_diff_rel_step: Any = None
    batches: Any = None
    disp: bool = False
    return_all: bool = False

    def __post_init__(self) -> None:
        self.maxiter = integer("maxiter", self.maxiter, 0)
        if self.maxfun is not None:
            self.maxfun = integer("maxfun", self.maxfun, 1)
        if self.maxtime is not None:
            self.maxtime = number("maxtime", self.maxtime, "[0, inf]")
        self.gtol = (0.0 if self.stochastic else 1e-5) if self.gtol is None else number("gtol", self.gtol, "[0, inf]")
        self.norm = number("norm", self.norm, "(0, inf]")
        self.ftol = number("ftol", self.ftol, "[0, inf)")
        if self.patience is not None:
            self.patience = integer("patience", self.patience, 1)
        elif self.ftol > 0:
            self.patience = 100
        if self.f_target is not None:
            self.f_target = number("f_target", self.f_target, "(-inf, inf)")
        self.best = not self.stochastic if self.best is None else flag("best", self.best)
        if self.average is not None and self.average != "mean":
            if isinstance(self.average, str):
                raise ValueError(f"average must be 'mean' or the decay of a moving one; got {shown(self.average)}")
            self.average = number("average", self.average, "[0, 1)")
        self.average_start = integer("average_start", self.average_start, 1)
        self.smooth = integer("smooth", self.smooth, 1)
        self.disp = bool(integer("disp", self.disp, 0)) if not isinstance(self.disp, (bool, np.bool_)) else self.disp
        self.return_all = flag("return_all", self.return_all)
        if self.stochastic and not hasattr(self.batches, "__iter__"):
            raise TypeError(f"batches must be an iterable; got {shown(self.batches)} ({type(self.batches).__name__})")

    @property
    def stochastic(self) -> bool:
        """Whether each call of the function sees another batch."""
        return self.batches is not None

    @property
    def open_ended(self) -> bool:
        """Whether nothing but a limit or the last batch can end it well."""
        return self.gtol == 0 and self.patience is None and self.f_target is None


_COMMON = tuple(field.name for field in fields(Options))


@dataclass(frozen=True)
class Method:
    """A method by name, as a class, or as a function that makes an optimizer of an array."""

    title: str
    kind: type[Optimizer] | type[LBFGS] | None
    factory: Callable[[Any], Any]

    @property
    def hyperparameters(self) -> tuple[str, ...]:
        """The names of its own options."""
        return () if self.kind is None else _hyperparameters(self.kind)

    def check(self, names: Mapping[str, Any]) -> None:
        """ValueError if an option is not known."""
        for name in names:
            if name in _COMMON or name in self.hyperparameters:
                continue
            if self.kind is None:
                hint = f"; {self.title} has to bring its optimizer's own with it"
                raise ValueError(f"{unknown_name('option', name, _COMMON)}{hint}")
            raise unknown_name(f"{self.title}'s option", name, [*self.hyperparameters, *_COMMON])

    def make(self, params: Any, hyper: Mapping[str, Any]) -> Optimizer | LBFGS | EMA | SWA | Averaged:
        """The optimizer of these parameters."""
        if self.kind is None:
            made = self.factory(params)
            inner = made.optimizer if isinstance(made, Averaged) else made
            if not isinstance(inner, (Optimizer, LBFGS)):
                raise TypeError(
                    f"method must make an optimizer of an array, such as schuss.Adam(array), which may keep an "
                    f"average; got {shown(made)} ({type(made).__name__}) from it"
                )
            held = inner.param_groups[0]["params"]
            if len(inner.param_groups) != 1 or len(held) != 1 or not _same(held[0], params):
                raise ValueError("method must make an optimizer of the array that it is given, and of nothing else")
            if inner.steps:
                raise ValueError(f"method must make an optimizer that has not stepped yet; got one after {inner.steps}")
            if isinstance(inner, Optimizer) and inner.param_groups[0].get("maximize"):
                raise ValueError("method must make an optimizer that minimizes; got one with maximize=True")
            return made  # type: ignore[no-any-return]
        if self.kind is LBFGS:
            return LBFGS(
                params,
                max_iter=1,
                max_eval=25,
                tolerance_grad=0.0,
                tolerance_change=0.0,
                **{"line_search_fn": "strong_wolfe", **hyper},
            )
        names = _hyperparameters(self.kind)
        if issubclass(self.kind, Muon):
            if hyper.get("adamw") is None and params.ndim != 2:
                raise ValueError(
                    f"x0 or the option shape must have two dimensions for {self.title}, which steps matrices (or the "
                    f"option adamw be given); got shape {params.shape}"
                )
            if isinstance(hyper.get("adamw"), Mapping):
                hyper = {**hyper, "adamw": {"weight_decay": 0.0, **hyper["adamw"]}}
        return self.kind(params, **{**{name: 0.0 for name in _DECAYS if name in names}, **hyper})


def _same(a: Any, b: Any) -> bool:
    """Whether two arrays are the same memory."""
    return bool(a.shape == b.shape and np.shares_memory(a, b))


def _hyperparameters(kind: type[Optimizer] | type[LBFGS]) -> tuple[str, ...]:
    return tuple(name for name in inspect.signature(kind.__init__).parameters if name not in _NOT_OPTIONS)


def method_of(method: Any) -> Method:
    """The method of a name in any case, a class, or a function that makes an optimizer."""
    known = {**BY_NAME, "lbfgs": LBFGS}
    if isinstance(method, str):
        name = choice("method", method.lower(), known)
        return Method(name, known[name], known[name])
    if isinstance(method, type) and issubclass(method, (Optimizer, LBFGS)):
        if method in known.values():
            return Method(next(name for name, kind in known.items() if kind is method), method, method)
        return Method(method.__name__, method, method)
    if isinstance(method, type) or not callable(method):
        raise TypeError(
            f"method must be the name or the class of an optimizer, or a function that makes one of an array; got "
            f"{shown(method)} ({type(method).__name__})"
        )
    return Method("method", None, method)


def split(method: Method, options: Mapping[str, Any] | None) -> tuple[Options, dict[str, Any]]:
    """What every method has, and the hyperparameters of this one."""
    if options is None:
        options = {}
    if not isinstance(options, Mapping):
        raise TypeError(f"options must be a dict; got {shown(options)} ({type(options).__name__})")
    method.check(options)
    common = {name: value for name, value in options.items() if name in _COMMON}
    return Options(**common), {name: value for name, value in options.items() if name not in _COMMON}
