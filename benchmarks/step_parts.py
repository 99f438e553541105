"""What a step costs apart from large arrays: its arithmetic in cache, many arrays, the stages around the rule."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import schuss

from . import fast, optimizers, peers, step_peers, streams
from .cases import LEARNING_RATE
from .optimizers import Optimizer
from .step_peers import Problem, Stepping
from .tables import Result, row
from .timing import Contender, Samples, alternate

CACHED_SIZES = (30_000, 100_000)
ARRAYS, EACH = 1000, 1000
STAGED_SIZES = (1_000_000, 10_000_000)
# Gradients and parameters read, for the norm; then parameters, gradients, moments and averages.
STAGED_PASSES: streams.Passes = ((1, 0), (5, 4))
CLIP_NORM, DECAY, EMA_DECAY = 1.0, 0.01, 0.999


def spelled(number: int) -> str:
    return f"{number:,}".replace(",", " ")


def best_of(times: dict[str, Samples], names: Sequence[str], name: str) -> dict[str, Samples]:
    """The times with the best of those alone, under another name."""
    found = [times[one] for one in names if one in times]
    kept = {one: samples for one, samples in times.items() if one not in names}
    return kept | ({name: min(found, key=lambda one: one.median)} if found else {})


def cached(options: Any, threads: int, chosen: Sequence[Optimizer]) -> Result:
    """Ours beside the same loops with -ffast-math."""
    result = Result("Optimizer step in cache", baselines=["-ffast-math"])
    for optimizer in chosen:
        if optimizer.name not in fast.LOOPS:
            continue
        for size in CACHED_SIZES:
            peers.note(f"step in cache {optimizer.name} {size}, threads {threads}")
            given = step_peers.problem(optimizer, size)
            loops = fast.contenders(given, threads)
            turns = [step_peers.own(given).contender, *loops]
            times = best_of(alternate(turns, 0.2 if options.quick else 0.5), [one.name for one in loops], "-ffast-math")
            label = {"optimizer": optimizer.name, "parameters": spelled(size)}
            result.rows.append(row(label, threads, ["ours"], times, None, None))
    result.notes = [
        "-ffast-math: the same loops as plain C (`fast.c`) with -O3 -ffast-math -march=native, by each compiler found, "
        "with the vectors that it prefers and with the widest; the best counts. They are called from Python without "
        "checks, each thread its share, without waiting for the others."
    ]
    return result


def many(options: Any, threads: int, chosen: Sequence[Optimizer]) -> Result:
    """Many small arrays beside one large one."""
    result = Result("Optimizer step of many arrays", baselines=["ours: one array", "torch fused", "torch foreach"])
    makers = (step_peers.own, step_peers.torch_fused, step_peers.torch_foreach)
    for optimizer in chosen:
        if optimizer.form != "vector":
            continue
        peers.note(f"step of {ARRAYS} arrays {optimizer.name}, threads {threads}")
        found = peers.built(makers, step_peers.problem(optimizer, EACH, ARRAYS), started=lambda one: one.run(2))
        one = step_peers.own(step_peers.problem(optimizer, ARRAYS * EACH))
        turns = [*(each.contender for each in found), Contender("ours: one array", one.run)]
        times = alternate(turns, 0.2 if options.quick else 0.5, share=0.3, longest=1.0)
        result.rows.append(
            row({"optimizer": optimizer.name}, threads, ["ours"], times, None, None, ["ours: one array"])
        )
    result.notes = [f"{ARRAYS} arrays of {EACH}, allocated one by one; one array: of {spelled(ARRAYS * EACH)}."]
    return result


def staged(options: Any, threads: int) -> Result:
    """Clipping by the global norm, decay and an average, in one call."""
    result = Result("Clipping, decay and average in a step", baselines=["torch"])
    optimizer = replace(next(one for one in optimizers.ALL if one.name == "AdamW"), options={"weight_decay": DECAY})
    for size in STAGED_SIZES[:1] if options.quick else STAGED_SIZES:
        peers.note(f"staged step {size}, threads {threads}")
        given = step_peers.problem(optimizer, size)
        found = peers.built((_own_staged, _torch_staged), given, started=lambda one: one.run(2))
        differ = step_peers.difference(found, given)  # now: in what follows each makes its own number of steps
        loops = streams.contenders(STAGED_PASSES, size, threads)
        times = alternate([*(each.contender for each in found), *loops], 0.3 if options.quick else 1.0)
        times = best_of(times, [one.name for one in loops], "bare")
        one = row({"parameters": spelled(size)}, threads, ["ours"], times, None, differ)
        one.bare, one.moved = "bare", streams.moved(STAGED_PASSES, size)
        result.rows.append(one)
    result.notes = [
        f"AdamW with weight decay {DECAY}, clip_norm {CLIP_NORM}, EMA of the parameters with {EMA_DECAY}. ours: one "
        "call; torch: clip_grad_norm_, fused AdamW, and the swa_utils' multi-tensor average. bare: the gradient read, "
        "then five arrays read and all but the gradient written."
    ]
    return result


def _own_staged(given: Problem) -> Stepping:
    parameters, grads = given.fresh(), list(given.gradients)
    inner = schuss.AdamW(parameters, lr=LEARNING_RATE, weight_decay=DECAY)
    averaged = schuss.EMA(inner, EMA_DECAY)
    return Stepping("ours", lambda: averaged.step(grads, clip_norm=CLIP_NORM), lambda: parameters[0])


def _torch_staged(given: Problem) -> Stepping | None:
    torch = peers.module("torch")
    if torch is None:
        return None
    parameters = [torch.nn.Parameter(torch.from_numpy(p)) for p in given.fresh()]
    averages = [p.detach().clone() for p in parameters]
    for parameter, gradient in zip(parameters, given.gradients, strict=True):
        parameter.grad = torch.from_numpy(gradient.copy())
    optimizer = torch.optim.AdamW(parameters, lr=LEARNING_RATE, weight_decay=DECAY, fused=True)
    average = torch.optim.swa_utils.get_ema_multi_avg_fn(EMA_DECAY)

    def step() -> None:
        torch.nn.utils.clip_grad_norm_(parameters, CLIP_NORM)
        optimizer.step()
        average(averages, parameters, None)

    return Stepping("torch", step, lambda: parameters[0].detach().numpy())


PARTS: tuple[Callable[[Any, int, Sequence[Optimizer]], Result], ...] = (cached, many)
