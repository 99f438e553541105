"""Who makes an optimizer's step over arrays that are given. What a library does not have is left out."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

import schuss

from . import numpy_arrays, numpy_rules, peers
from .cases import LEARNING_RATE, Float
from .optimizers import Optimizer
from .timing import Contender

# Elements of a table's row.
_ROW = 100
# Random numbers that are drawn; parameters that are compared.
_BLOCK, _COMPARED = 1 << 20, 1_000_000
Arrays = Sequence[Float]


@dataclass(frozen=True)
class Stepping:
    """Somebody stepping.

    Attributes
    ----------
    name : str
        Its column.
    step : callable
        One step.
    parameters : callable
        The first of the parameters now.
    wait : callable or None
        Returns when all steps are done.
    """

    name: str
    step: Callable[[], object]
    parameters: Callable[[], Any]
    wait: Callable[[], object] | None = None

    @property
    def contender(self) -> Contender:
        return Contender(self.name, self.run, quiet=self.name == "NumPy")

    def run(self, calls: int) -> None:
        step = self.step
        for _ in range(calls):
            step()
        if self.wait is not None:
            self.wait()


@dataclass(frozen=True)
class Problem:
    """What is stepped: parameters and gradients, of one shape each, shared by all who only read them.

    Attributes
    ----------
    size : int
        Of each array.
    count : int
        Of arrays.
    """

    optimizer: Optimizer
    parameters: Arrays
    gradients: Arrays
    touched: Any = None

    def fresh(self) -> list[Float]:
        return [p.copy() for p in self.parameters]


def problem(optimizer: Optimizer, size: int, count: int = 1) -> Problem:
    """Numbers without zeros or denormals, the same for all; so many arrays of this size each."""
    shape = shape_of(optimizer, size)
    rng = np.random.default_rng(size)
    block = rng.standard_normal(min(size, _BLOCK), np.float32)
    parameters = [_filled(size, np.float32(0.05) * np.roll(block, k)).reshape(shape) for k in range(count)]
    gradients = [_filled(size, np.roll(block, k + 1)).reshape(shape) for k in range(count)]
    if optimizer.form != "rows":
        return Problem(optimizer, parameters, gradients)
    rows = max(1, shape[0] // optimizer.touched)
    touched = np.sort(rng.choice(shape[0], rows, replace=False))
    return Problem(optimizer, parameters, [gradients[0][:rows]], touched)


def _filled(size: int, block: Float) -> Float:
    """Repetitions of a block."""
    found = np.empty(size, np.float32)
    for start in range(0, size, len(block)):
        found[start : start + len(block)] = block[: size - start]
    return found


def difference(found: Sequence[Stepping], given: Problem) -> float:
    """The largest of a parameter from the first's, relative to the longest way that one of them has gone."""
    some = slice(None, None, -(-given.parameters[0].size // _COMPARED))
    first = np.array(found[0].parameters().reshape(-1)[some])
    way = np.abs(first - given.parameters[0].reshape(-1)[some]).max()
    compared = [one for one in found if one.name not in given.optimizer.apart]
    return max(float(np.abs(one.parameters().reshape(-1)[some] - first).max() / way) for one in compared)


def shape_of(optimizer: Optimizer, size: int) -> tuple[int, ...]:
    if optimizer.form == "rows":
        return size // _ROW, _ROW
    if optimizer.form == "matrix":
        side = int(size**0.5)
        while size % side:
            side -= 1
        return side, size // side
    return (size,)


def made(given: Problem) -> tuple[Any, list[Float], list[Any]]:
    """Our optimizer, its parameters and their gradients."""
    parameters, optimizer = given.fresh(), given.optimizer
    found = getattr(schuss, optimizer.name)(parameters, **{"lr": LEARNING_RATE, **optimizer.options})
    grads: list[Any] = list(given.gradients)
    return found, parameters, [schuss.Rows(given.touched, grads[0])] if optimizer.form == "rows" else grads


def own(given: Problem) -> Stepping:
    found, parameters, grads = made(given)
    return Stepping("ours", lambda: found.step(grads), lambda: parameters[0])


def _torch_form(name: str, form: dict[str, bool], given: Problem) -> Stepping | None:
    torch, optimizer = peers.module("torch"), given.optimizer
    if torch is None or optimizer.torch is None:
        return None
    kind = getattr(torch.optim, optimizer.torch)
    allowed = inspect.signature(kind).parameters
    if any(value and key not in allowed for key, value in form.items()) or ("fused" in form and not optimizer.fused):
        return None
    form = {key: value for key, value in form.items() if key in allowed}
    parameters = [torch.nn.Parameter(torch.from_numpy(p)) for p in given.fresh()]
    for parameter, gradient in zip(parameters, map(torch.from_numpy, given.gradients), strict=True):
        if optimizer.form == "rows":
            rows = torch.from_numpy(given.touched)[None]
            gradient = torch.sparse_coo_tensor(rows, gradient, parameter.shape, is_coalesced=True)
        parameter.grad = gradient
    options = optimizer.options if optimizer.torch_options is None else optimizer.torch_options
    found = kind(parameters, **{"lr": LEARNING_RATE, **options, **form})
    return Stepping(name, found.step, lambda: parameters[0].detach().numpy())


def torch_fused(given: Problem) -> Stepping | None:
    return _torch_form("torch fused", {"fused": True}, given)


def torch_default(given: Problem) -> Stepping | None:
    """What an optimizer over CPU tensors chooses by itself."""
    return _torch_form("torch default", {"foreach": False}, given)


def torch_foreach(given: Problem) -> Stepping | None:
    return _torch_form("torch foreach", {"foreach": True}, given)


def deepspeed(given: Problem) -> Stepping | None:
    """Its Adam for the CPU; it compiles itself when first made, with ninja."""
    if given.optimizer.name not in ("Adam", "AdamW"):
        return None
    torch, adam = peers.module("torch"), peers.module("deepspeed.ops.adam")
    if torch is None or adam is None:
        return None
    parameters = [torch.nn.Parameter(torch.from_numpy(p)) for p in given.fresh()]
    for parameter, gradient in zip(parameters, given.gradients, strict=True):
        parameter.grad = torch.from_numpy(gradient)
    decoupled = given.optimizer.name == "AdamW"
    found = adam.DeepSpeedCPUAdam(parameters, lr=LEARNING_RATE, adamw_mode=decoupled, **given.optimizer.options)
    return Stepping("DeepSpeed", found.step, lambda: parameters[0].detach().numpy())


def optax_jitted(given: Problem) -> Stepping | None:
    """Parameters and state donated."""
    jax, optax, optimizer = peers.module("jax"), peers.module("optax"), given.optimizer
    if jax is None or optax is None or optimizer.optax is None:
        return None
    home = optax if hasattr(optax, optimizer.optax) else peers.module("optax.contrib")
    transform = getattr(home, optimizer.optax)(**{"learning_rate": LEARNING_RATE, **optimizer.optax_options})

    def update(p: Any, state: Any, g: Any) -> tuple[Any, Any]:
        updates, state = transform.update(g, state, p)
        return optax.apply_updates(p, updates), state

    compiled = jax.jit(update, donate_argnums=(0, 1))
    gradients = [jax.device_put(g) for g in given.gradients]
    parameters = [jax.numpy.array(p) for p in given.parameters]
    # Copied: some states begin as the parameters, and nothing can be donated twice.
    state = jax.tree_util.tree_map(jax.numpy.array, transform.init(parameters))

    def step() -> None:
        nonlocal parameters, state
        parameters, state = compiled(parameters, state, gradients)

    return Stepping("optax", step, lambda: np.array(parameters[0]), lambda: jax.block_until_ready(parameters))


def numpy_rule(given: Problem) -> Stepping | None:
    name, parameters = given.optimizer.name, given.fresh()
    pairs = zip(parameters, given.gradients, strict=True)
    if name in numpy_rules.RULES:
        steps = [numpy_rules.step_of(name, p, g) for p, g in pairs]
    elif name in numpy_arrays.RULES:
        touched = [] if given.touched is None else [given.touched]
        steps = [numpy_arrays.RULES[name](p, g, *touched) for p, g in pairs]
    else:
        return None

    def step() -> None:
        for one in steps:
            one()

    return Stepping("NumPy", steps[0] if len(steps) == 1 else step, lambda: parameters[0])


MAKERS: tuple[Callable[[Problem], Stepping | None], ...] = (
    own,
    torch_fused,
    torch_default,
    torch_foreach,
    deepspeed,
    optax_jitted,
    numpy_rule,
)
