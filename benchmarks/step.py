"""One optimizer step over one flat float32 vector."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

import schuss

from . import numpy_rules, peers
from .cases import CHECKED_STEPS, LEARNING_RATE, Float
from .limits import MEMORY_NOTE, Limits
from .tables import Result, row
from .timing import Contender, alternate

SIZES = (100, 10_000, 100_000, 1_000_000, 10_000_000)


@dataclass(frozen=True)
class Rule:
    """An optimizer, as everybody calls it.

    Attributes
    ----------
    name : str
        Ours.
    torch, optax : str
        Theirs.
    options, optax_options : dict
        Arguments beside the learning rate, for ours and torch's, and for optax's.
    arrays, streams : int
        Arrays touched; reads and writes of whole arrays.
    fused : bool
        Whether torch has a fused form for the CPU.
    """

    name: str
    torch: str
    optax: str
    options: dict[str, Any]
    optax_options: dict[str, Any]
    arrays: int
    streams: int
    fused: bool = True


RULES = (
    Rule("Adam", "Adam", "adam", {}, {}, 4, 7),
    Rule("SGD", "SGD", "sgd", {"momentum": 0.9}, {"momentum": 0.9}, 3, 5),
    Rule("AdaGrad", "Adagrad", "adagrad", {"eps": 1e-10}, {"initial_accumulator_value": 0.0, "eps": 1e-20}, 3, 5),
    Rule(
        "RMSProp",
        "RMSprop",
        "rmsprop",
        {"alpha": 0.99, "eps": 1e-8},
        {"decay": 0.99, "eps": 1e-8, "eps_in_sqrt": False},
        3,
        5,
        fused=False,
    ),
    Rule("AdamW", "AdamW", "adamw", {"weight_decay": 0.01}, {"weight_decay": 0.01}, 4, 7),
)


@dataclass(frozen=True)
class Stepping:
    """Somebody stepping: one step; wait for the end, if need be; the parameters now."""

    name: str
    step: Callable[[], object]
    parameters: Callable[[], Any]
    wait: Callable[[], object] | None = None

    def run(self, calls: int) -> None:
        step = self.step
        for _ in range(calls):
            step()
        if self.wait is not None:
            self.wait()


def vectors(size: int) -> tuple[Float, Float]:
    """Parameters and gradient."""
    rng = np.random.default_rng(size)
    return 0.05 * rng.standard_normal(size, np.float32), rng.standard_normal(size, np.float32)


def own(rule: Rule, p: Float, g: Float) -> Stepping:
    p = p.copy()
    optimizer = getattr(schuss, rule.name)([p], lr=LEARNING_RATE, **rule.options)
    grads = [g]
    return Stepping("ours", lambda: optimizer.step(grads), lambda: p)


def torch_form(form: dict[str, bool], name: str, rule: Rule, p: Float, g: Float) -> Stepping | None:
    torch = peers.module("torch")
    if torch is None or ("fused" in form and not rule.fused):
        return None
    parameter = torch.nn.Parameter(torch.from_numpy(p.copy()))
    parameter.grad = torch.from_numpy(g)
    optimizer = getattr(torch.optim, rule.torch)([parameter], lr=LEARNING_RATE, **rule.options, **form)
    return Stepping(name, optimizer.step, lambda: parameter.detach().numpy())


def torch_fused(rule: Rule, p: Float, g: Float) -> Stepping | None:
    return torch_form({"fused": True}, "torch fused", rule, p, g)


def torch_default(rule: Rule, p: Float, g: Float) -> Stepping | None:
    return torch_form({"foreach": False}, "torch default", rule, p, g)


def torch_foreach(rule: Rule, p: Float, g: Float) -> Stepping | None:
    return torch_form({"foreach": True}, "torch foreach", rule, p, g)


def optax_jitted(rule: Rule, p: Float, g: Float) -> Stepping | None:
    """Parameters and state donated."""
    jax, optax = peers.module("jax"), peers.module("optax")
    if jax is None or optax is None:
        return None
    transform = getattr(optax, rule.optax)(LEARNING_RATE, **rule.optax_options)

    def update(p: Any, state: Any, g: Any) -> tuple[Any, Any]:
        updates, state = transform.update(g, state, p)
        return optax.apply_updates(p, updates), state

    compiled = jax.jit(update, donate_argnums=(0, 1))
    gradient = jax.device_put(g)
    parameters = jax.numpy.array(p)
    state = transform.init(parameters)

    def step() -> None:
        nonlocal parameters, state
        parameters, state = compiled(parameters, state, gradient)

    return Stepping("optax", step, lambda: np.array(parameters), lambda: jax.block_until_ready(parameters))


def numpy_rule(rule: Rule, p: Float, g: Float) -> Stepping:
    p = p.copy()
    return Stepping("NumPy", numpy_rules.RULES[rule.name](p, g), lambda: p)


MAKERS = (own, torch_fused, torch_default, torch_foreach, optax_jitted, numpy_rule)


def contenders(rule: Rule, size: int) -> tuple[list[Stepping], float]:
    """Everybody, `CHECKED_STEPS` in, and the largest difference of a parameter, relative to the way it has gone."""
    p, g = vectors(size)
    found: list[Stepping] = peers.built(MAKERS, rule, p, g, started=lambda one: one.run(CHECKED_STEPS))
    first = np.array(found[0].parameters())
    way = np.abs(first - p).max()
    return found, max(float(np.abs(one.parameters() - first).max() / way) for one in found)


def measure(options: Any, threads: int, limits: Limits) -> Result:
    result = Result("Optimizer step")
    rules = RULES[:2] if options.quick else RULES
    sizes = (100, 10_000, 1_000_000) if options.quick else SIZES
    for rule in rules:
        for size in sizes:
            peers.note(f"step {rule.name} {size}, threads {threads}")
            found, difference = contenders(rule, size)
            seconds = 0.3 if options.quick else 0.8
            times = alternate([Contender(one.name, one.run) for one in found], seconds, least_rounds=5)
            limit = limits.memory(4 * rule.arrays * size, 4 * rule.streams * size)
            label = {"optimizer": rule.name, "parameters": f"{size:,}".replace(",", " ")}
            result.rows.append(row(label, threads, ["ours"], times, limit, difference))
    result.notes = [
        "One flat float32 vector, lr 1e-3, SGD with momentum 0.9, AdamW with weight decay 0.01. torch default is "
        "foreach=False, which an optimizer over CPU tensors chooses by itself; RMSprop has no fused form there. optax: "
        "jitted, state donated; its AdaGrad has eps under the root, squared. NumPy: by hand, in place. differ: largest "
        f"difference of a parameter after {CHECKED_STEPS} steps, relative to the longest way that one has gone.",
        MEMORY_NOTE,
        *limits.seen(),
    ]
    return result
