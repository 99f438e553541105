"""What all optimizers over torch's tensors share."""

from __future__ import annotations

import inspect
from collections import defaultdict
from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any, ClassVar

import numpy as np

from .. import _core, optim
from ..arguments import choice, number
from ..errors import DivergenceError
from ..optim import bitsandbytes
from ..optim.precision import Precision
from ..optim.state import TORCH_ONLY
from .engine import Engine, shapes_of
from .layouts import names_of
from .loading import kept, steps_of, taken_out
from .signatures import OF_ALL, OF_TORCH, REFUSED, arguments_of, signature_of

torch: Any = import_module("torch")

# What a step of the core answers.
_REFUSED, _CHANGED, _FRESH = 0, -1, -2
# Hooks of all optimizers, which torch has no function to ask for; without them it is not known that there are none.
_BEFORE_ALL, _AFTER_ALL = (
    getattr(import_module("torch.optim.optimizer"), f"_global_optimizer_{when}_hooks", True) for when in ("pre", "post")
)
_PROFILED = "_is_profiler_enabled"
_PROFILER = vars(torch.autograd.profiler)


class Optimizer(torch.optim.Optimizer):  # type: ignore[misc]
    """An optimizer of `schuss` over the parameters of a torch model, a `torch.optim.Optimizer`.

    Attributes
    ----------
    param_groups : list of dict
        As torch's, and the very dicts that were given. What is changed takes effect at the next step.
    state : dict
        As torch's. The tensors share memory with what steps write.
    clip_norm : float or None
        Gradients are scaled down to this norm in each step, if theirs, over all of them, is larger.
    grad_scale, found_inf : tensor
        If they are there: gradients are divided by the first in the step, and no step is made where the second is not
        0. A ``torch.amp.GradScaler`` sets them where ``fused`` is True.
    """

    _of: ClassVar[type[optim.Optimizer]]
    # Torch's own optimizer of the same arguments; None: it has none.
    _like: ClassVar[Any] = None
    _signature: ClassVar[inspect.Signature]
    # What all groups are, in the words of the core.
    _template: ClassVar[optim.Optimizer]
    # Entries that torch's groups have beside their arguments, for those who read state_dicts.
    _fixed: ClassVar[Mapping[str, Any]] = {}
    # Entries of a group that the core reads.
    _settings: ClassVar[frozenset[str]] = frozenset()

    clip_norm: float | None
    _precision: Precision
    _watched: bool
    _engine: Engine | None
    # The engine's, where a step is a call of it; None: there is more to do.
    _steps: _core.TensorSteps | None

    def __init_subclass__(
        cls,
        of: type[optim.Optimizer] | None = None,
        like: str | None = None,
        fixed: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init_subclass__()
        if of is None:
            return
        cls._of, cls._like = of, None if like is None else getattr(torch.optim, like)
        cls._fixed = fixed or {}
        cls._template = of([np.zeros((1, 1))])
        cls._signature = signature_of(of, cls._like)
        cls._settings = frozenset(cls._signature.parameters) - {"params", *OF_TORCH, *OF_ALL}
        summary = (of.__doc__ or "").partition("\n")[0]
        where = f"those of ``torch.optim.{like}``" if like else "those of that class"
        cls.__doc__ = f"""{summary}

        Formula and hyperparameters as in `schuss.{of.__name__}`. Arguments: {where}. ``foreach`` has no effect,
        ``fused`` only on a ``GradScaler``; ``capturable`` and ``differentiable`` must be False. ``clip_norm`` limits
        the norm of all gradients; ``states``, ``master``, ``rounding`` and ``seed`` are those of
        `schuss.Optimizer.set_precision`.
        """

        def __init__(self: Optimizer, *given: Any, **options: Any) -> None:
            self._construct(arguments_of(cls._signature, cls.__name__, given, options))

        first = inspect.Parameter("self", inspect.Parameter.POSITIONAL_ONLY)
        parameters = [first, *cls._signature.parameters.values()]
        __init__.__signature__ = cls._signature.replace(parameters=parameters)  # type: ignore[attr-defined]
        __init__.__qualname__, __init__.__module__ = f"{cls.__qualname__}.__init__", cls.__module__
        cls.__init__ = __init__  # type: ignore[method-assign]

    def __init__(self, params: Any, *given: Any, **options: Any) -> None:
        raise TypeError("Optimizer is what the optimizers of schuss.torch share: make one of these")

    def _construct(self, arguments: dict[str, Any]) -> None:
        params = arguments.pop("params")
        self.clip_norm = arguments.pop("clip_norm")
        self._precision = Precision(*(arguments.pop(name) for name in Precision._fields))
        self._watched, self._engine, self._steps = False, None, None
        super().__init__(params, {**arguments, **self._fixed})

    # -- groups ------------------------------------------------------------------------------------------------------

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        """Add a group, as torch has it. If it is refused, nothing has changed."""
        super().add_param_group(param_group)
        try:
            self._check_group(param_group, len(self.param_groups) - 1)
        except BaseException:
            self.param_groups.pop()
            raise

    def _check_group(self, group: dict[str, Any], k: int) -> None:
        names = names_of(group, k)
        if len(set(map(id, group["params"]))) < len(group["params"]):
            raise ValueError(f"param_groups[{k}] has a parameter twice, expected each once")
        self._check_params(group, names)
        _core.states_of(self._translated(group), (1, 1), np.dtype(np.float64))

    def _check_params(self, group: dict[str, Any], names: list[str]) -> None:
        """ValueError if the rule does not step such parameters."""

    @classmethod
    def _translated(cls, group: dict[str, Any]) -> dict[str, Any]:
        """A group in the words of the core, as plain numbers."""
        for name in REFUSED:
            if group.get(name):
                raise ValueError(f"{name} must be False: a step of schuss is no operation of torch's; got True")
        given = {name: _plain(group[name]) for name in cls._settings if name in group}
        own = {name: value for name, value in cls._template.param_groups[0].items() if name not in cls._settings}
        return {**own, **given, "params": None}

    @classmethod
    def _translate(cls, group: dict[str, Any], plain: dict[str, Any]) -> None:
        """Bring what the core reads of a group up to date. What stays as it was stays the same object."""
        found = cls._translated(group)
        for name in plain.keys() - found.keys():
            del plain[name]
        for name, value in found.items():
            if name not in plain or plain[name] != value or type(plain[name]) is not type(value):
                plain[name] = value

    # -- steps -------------------------------------------------------------------------------------------------------

    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Update every parameter that has a gradient in place, once.

        Parameters
        ----------
        closure : callable, optional
            Computes the gradients anew and returns the loss, which is returned.

        Raises
        ------
        ValueError, TypeError
            If a gradient does not fit its parameter, or a hyperparameter is out of range. Nothing has changed.
        DivergenceError
            If a gradient is NaN or infinite, with ``clip_norm``. Nothing has changed.
        """
        steps = self._steps
        unwatched = not (_BEFORE_ALL or _AFTER_ALL or _PROFILER.get(_PROFILED))
        if steps is not None and closure is None and unwatched and steps.step_at_once(self.__dict__):
            return None
        return _watched_step(self) if closure is None else _watched_step(self, closure)

    # Torch's constructor wraps what is not: in a note to a profiler and calls of hooks, of some microseconds.
    step.hooked = True  # type: ignore[attr-defined]

    def _step(self, closure: Callable[[], Any] | None = None) -> Any:
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        own = self.__dict__
        scale = 1.0
        if "found_inf" in own or "grad_scale" in own:
            if own.get("found_inf") is not None and float(own["found_inf"]) != 0:
                return loss
            if own.get("grad_scale") is not None:
                scale = 1 / number("grad_scale", float(own["grad_scale"]), "(0, inf)")
        self._long_step(scale)
        return loss

    def _long_step(self, scale: float) -> None:
        """A step before which something has to be brought up to date, or to which torch's own belongs."""
        for _ in range(6):
            engine = self._engine
            if engine is None:
                self._build()
                continue
            status = engine.step(self.param_groups, self.state, scale, self.clip_norm)
            if status == _CHANGED:
                if not engine.follow():
                    self._build()
            elif status == _FRESH:
                engine.begin_states()
            elif status == _REFUSED:
                rate = float(self.param_groups[0]["lr"])
                raise DivergenceError(
                    f"a gradient is NaN or infinite (or their norm is), with lr={rate:g}; nothing was updated", lr=rate
                )
            else:
                return
        raise RuntimeError("groups, parameters or states change while a step begins: another thread's doing")

    def _build(self) -> None:
        """Steppers over groups, parameters and states as they are now. If one is refused, nothing has changed."""
        self._settle()
        engine = Engine(type(self), self.param_groups, self.state, self._precision)
        fast = None if self._watched or engine.elsewhere is not None else engine.steps
        self.__dict__.update(state=engine.state, _engine=engine, _steps=fast)

    def _settle(self) -> None:
        if self._engine is not None:
            self._engine.settle(self.param_groups)

    @property
    def grad_norm(self) -> float:
        """The norm of the gradients at the last step that had ``clip_norm``."""
        steppers = self._steppers()
        return float(steppers[0].grad_norm) if steppers else 0.0

    @property
    def nonfinite(self) -> bool:
        """Whether the last step met a NaN or infinite gradient."""
        return any(stepper.nonfinite for stepper in self._steppers())

    def _steppers(self) -> list[_core.TensorStepper]:
        return [] if self._engine is None else self._engine.steps.steppers

    @property
    def _step_supports_amp_scaling(self) -> bool:
        """By which a GradScaler leaves unscaling to the step, as to torch's fused steps; Lightning won't clip then."""
        return bool(self.defaults.get("fused")) and all(
            p.device.type == "cpu" for group in self.param_groups for p in group["params"]
        )

    def register_step_pre_hook(self, hook: Any) -> Any:
        """As torch has it."""
        self._watched, self._steps = True, None
        return super().register_step_pre_hook(hook)

    def register_step_post_hook(self, hook: Any) -> Any:
        """As torch has it."""
        self._watched, self._steps = True, None
        return super().register_step_post_hook(hook)

    # -- states ------------------------------------------------------------------------------------------------------

    def state_dict(self, *, like: str = "torch") -> Any:
        """As torch has it, with the names and shapes of torch's optimizer of the same name.

        Parameters
        ----------
        like : {"torch", "bitsandbytes"}
            "bitsandbytes": what that package's optimizer of the same name loads, as by `schuss.Optimizer.state_dict`.
        """
        choice("like", like, ("torch", "bitsandbytes"))
        self._settle()
        found = super().state_dict()
        return found if like == "torch" else bitsandbytes.given(found, self._rules(), TORCH_ONLY)

    def _rules(self) -> list[str]:
        return [self._translated(group)["rule"] for group in self.param_groups]

    def load_state_dict(self, state_dict: Any) -> None:
        """Take over a state_dict, torch's own and that of bitsandbytes included, in the middle of a run.

        Raises
        ------
        ValueError, TypeError
            If groups, names or shapes do not fit. Nothing has changed.
        """
        if bitsandbytes.is_theirs(state_dict):
            in_order = [
                [p.is_contiguous() and p.device.type == "cpu" for p in group["params"]] for group in self.param_groups
            ]
            state_dict = bitsandbytes.taken(state_dict, self._rules(), in_order, torch.tensor)
        handle = self.register_load_state_dict_pre_hook(kept)
        try:
            super().load_state_dict(state_dict)
        finally:
            handle.remove()
        if any(self.state.values()):
            self._build()  # copies the states, which are the caller's

    def __getstate__(self) -> dict[str, Any]:
        self._settle()
        return {**super().__getstate__(), "clip_norm": self.clip_norm, "_precision": self._precision}

    def __setstate__(self, state: dict[str, Any]) -> None:
        defaults = {**self.__dict__, **state}["defaults"]
        groups = state["param_groups"]
        found, precision = taken_out(state["state"]), {**self.__dict__, **state}["_precision"]
        for k, group in enumerate(groups):
            for name, value in defaults.items():
                group.setdefault(name, value)
            group.update(self._fixed)
            self._check_group(group, k)
            for name, tensor in zip(names_of(group, k), group["params"], strict=True):
                if tensor.device.type == "cpu" and found.get(tensor):
                    steps_of(name, found[tensor], shapes_of(self._template, self._translated(group), tensor, precision))
        kept_state: defaultdict[Any, Any] = defaultdict(dict)
        kept_state.update(found)
        own = {"_watched": False} if "_watched" not in self.__dict__ else {}
        super().__setstate__({**own, **state, "state": kept_state, "_engine": None, "_steps": None})


def _plain(value: Any) -> Any:
    """A hyperparameter as plain numbers; torch's may be tensors."""
    if isinstance(value, torch.Tensor):
        return value.item()
    return tuple(map(_plain, value)) if isinstance(value, (tuple, list)) else value


_watched_step = torch.optim.Optimizer.profile_hook_step(Optimizer._step)
