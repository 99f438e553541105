"""Who steps over parameters that lie in any precision: ours over arrays and over tensors, and those that torch has."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

import schuss

from . import peers
from .cases import LEARNING_RATE, Float
from .optimizers import Optimizer
from .precisions import FLOAT32, Precision
from .step_peers import Problem, Stepping

Stored = NDArray[np.generic]


@dataclass(frozen=True)
class Tensors:
    """What is stepped, and how it lies in memory.

    Attributes
    ----------
    problem : Problem
        Parameters and gradients in float32, of numbers that bfloat16 has.
    precision : Precision
    bare : bool
        Whether torch's tensors are no parameters and require no gradient, as an offloading optimizer hands them over.
    gradients : list
        As they lie in memory, shared by all.
    """

    problem: Problem
    precision: Precision
    bare: bool
    gradients: Sequence[Stored]

    @property
    def optimizer(self) -> Optimizer:
        return self.problem.optimizer

    @property
    def bfloat16(self) -> bool:
        return self.precision.stored == "bfloat16"

    def fresh(self) -> list[Stored]:
        """Parameters of one's own."""
        return [stored(p, self.precision) if self.bfloat16 else p.copy() for p in self.problem.parameters]

    def one(self, k: int) -> Tensors:
        """Parameter k alone."""
        alone = replace(
            self.problem, parameters=self.problem.parameters[k : k + 1], gradients=self.problem.gradients[k : k + 1]
        )
        return replace(self, problem=alone, gradients=self.gradients[k : k + 1])


Maker = Callable[[Tensors], Stepping | None]


def tensors(problem: Problem, precision: Precision = FLOAT32, bare: bool = False) -> Tensors:
    """The numbers of a problem, cut to those that bfloat16 has."""
    for array in (*problem.parameters, *problem.gradients):
        array.view(np.uint32)[...] &= np.uint32(0xFFFF0000)
    gradients = [stored(g, precision) for g in problem.gradients]
    return Tensors(problem, precision, bare, gradients)


def arrays_of(optimizer: Optimizer, sizes: Sequence[int]) -> Problem:
    """A problem of flat arrays of different sizes."""
    rng = np.random.default_rng(len(sizes))
    parameters = [np.float32(0.05) * rng.standard_normal(size, np.float32) for size in sizes]
    return Problem(optimizer, parameters, [rng.standard_normal(size, np.float32) for size in sizes])


def stored(array: Float, precision: Precision) -> Stored:
    """bfloat16 as uint16."""
    if precision.stored == "float32":
        return array
    return np.ascontiguousarray(array.view(np.uint16)[..., 1::2])


def widened(array: Stored) -> Float:
    """As float32."""
    if array.dtype == np.float32:
        return array.view(np.float32)
    return (array.astype(np.uint32) << np.uint32(16)).view(np.float32)


def ours_arrays(given: Tensors) -> Stepping:
    """Over NumPy's arrays."""
    parameters, optimizer = given.fresh(), given.optimizer
    found: Any = getattr(schuss, optimizer.name)(parameters, **_options(optimizer, optimizer.options))
    if not given.precision.plain:
        found.set_precision(**given.precision.options)
    grads: list[Any] = list(given.gradients)
    return Stepping("ours: arrays", lambda: found.step(grads), lambda: widened(parameters[0]))


def ours_tensors(given: Tensors) -> Stepping | None:
    """As an optimizer of torch's."""
    if peers.module("torch") is None or (home := peers.module("schuss.torch")) is None:
        return None
    kind = getattr(home, given.optimizer.torch or given.optimizer.name)
    options = {} if given.precision.plain else given.precision.options
    return _torch_step("ours: torch", given, lambda params, **others: kind(params, **others, **options))


def torch_fused(given: Tensors) -> Stepping | None:
    if given.precision.master is not None or given.precision.states != given.precision.stored:
        return None
    return _of_torch("torch fused", given, {"fused": True})


def torch_default(given: Tensors) -> Stepping | None:
    """What an optimizer over CPU tensors chooses by itself, for an optimizer that has no fused form."""
    return None if given.optimizer.fused else _of_torch("torch default", given, {"foreach": False})


def torch_foreach(given: Tensors) -> Stepping | None:
    return None if given.optimizer.fused else _of_torch("torch foreach", given, {"foreach": True})


def torch_master(given: Tensors) -> Stepping | None:
    """Fused over a master in float32, between two copies: of the gradient to float32, of the master to bfloat16."""
    torch = peers.module("torch")
    if torch is None or given.precision.master is None or given.precision.states != "float32":
        return None
    parameters = _torch_tensors(torch, given, given.fresh())
    masters = [p.detach().float() for p in parameters]
    for p, master in zip(parameters, masters, strict=True):
        master.grad = torch.empty_like(master)
        p.grad.detach_()
    found = getattr(torch.optim, str(given.optimizer.torch))(masters, **_torch_options(given.optimizer), fused=True)
    pairs = [(p.detach(), p.grad, master, master.grad) for p, master in zip(parameters, masters, strict=True)]

    def step() -> None:
        for _, g, _, wide in pairs:
            wide.copy_(g)
        found.step()
        for p, _, master, _ in pairs:
            p.copy_(master)

    return Stepping("torch fused, copies", step, lambda: numbers(parameters[0]))


def deepspeed(given: Tensors) -> Stepping | None:
    """Its Adam for the CPU: moments in float32 or in the parameters' precision, no master."""
    wanted = given.precision
    if given.optimizer.name not in ("Adam", "AdamW") or wanted.master is not None or wanted.states == "8bit":
        return None
    if (kind := deepspeed_adam()) is None:
        return None
    decoupled = given.optimizer.name == "AdamW"

    def make(params: Any, **options: Any) -> Any:
        return kind(params, adamw_mode=decoupled, fp32_optimizer_states=wanted.states == "float32", **options)

    return _torch_step("DeepSpeed", given, make)


@cache
def deepspeed_adam() -> Any:
    """Its Adam for the CPU, or None where it is not installed."""
    home, cpu = peers.module("deepspeed.ops.adam"), peers.module("cpuinfo")
    if home is None or cpu is None:
        return None
    # It asks for the CPU's name each time that it is made, in a process that takes more than a second.
    cpu.get_cpu_info = cache(cpu.get_cpu_info)
    return home.DeepSpeedCPUAdam


def bitsandbytes(given: Tensors) -> Stepping | None:
    """Its AdamW with moments of 8 bits."""
    wanted = given.precision
    if given.optimizer.name != "AdamW" or wanted.states != "8bit" or wanted.master is not None:
        return None
    if (home := peers.module("bitsandbytes")) is None:
        return None
    return _torch_step("bitsandbytes", given, home.optim.AdamW8bit)


def one_each(make: Maker) -> Maker:
    """An optimizer for each parameter, stepped one after the other."""

    def made(given: Tensors) -> Stepping | None:
        each = [make(given.one(k)) for k in range(len(given.gradients))]
        if any(one is None for one in each):
            return None
        found = [one for one in each if one is not None]
        steps = [one.step for one in found]

        def step() -> None:
            for one in steps:
                one()

        return Stepping(found[0].name, step, found[0].parameters)

    made.__name__ = f"{make.__name__}, one each"
    return made


def built(makers: Sequence[Maker], given: Tensors, steps: int) -> list[Stepping]:
    """Everybody who has the precision, so many steps in."""
    found: list[Stepping] = peers.built(makers, given, started=lambda one: one.run(steps))
    return found


def _options(optimizer: Optimizer, options: Mapping[str, Any]) -> dict[str, Any]:
    return {"lr": LEARNING_RATE, **options}


def _torch_options(optimizer: Optimizer) -> dict[str, Any]:
    given = optimizer.options if optimizer.torch_options is None else optimizer.torch_options
    return _options(optimizer, given)


def _of_torch(name: str, given: Tensors, form: Mapping[str, bool]) -> Stepping | None:
    torch, optimizer = peers.module("torch"), given.optimizer
    if torch is None or optimizer.torch is None or ("fused" in form and not optimizer.fused):
        return None
    kind = getattr(torch.optim, optimizer.torch)
    form = {} if optimizer.torch == "Muon" else form
    return _torch_step(name, given, lambda params, **options: kind(params, **options, **form))


def _torch_step(name: str, given: Tensors, make: Callable[..., Any]) -> Stepping:
    torch = importlib.import_module("torch")
    parameters = _torch_tensors(torch, given, given.fresh())
    found = make(parameters, **_torch_options(given.optimizer))
    return Stepping(name, found.step, lambda: numbers(parameters[0]))


def _torch_tensors(torch: Any, given: Tensors, arrays: Sequence[Stored]) -> list[Any]:
    """Tensors over the arrays, with their gradients."""
    found = [tensor(array) for array in arrays]
    if not given.bare:
        found = [torch.nn.Parameter(one) for one in found]
    for one, gradient in zip(found, given.gradients, strict=True):
        one.grad = tensor(gradient)
    return found


def tensor(array: Stored) -> Any:
    """Over the array."""
    torch = importlib.import_module("torch")
    found = torch.from_numpy(array)
    return found if array.dtype == np.float32 else found.view(torch.bfloat16)


def numbers(tensor: Any) -> Float:
    """In float32."""
    found: Float = tensor.detach().float().numpy()
    return found
