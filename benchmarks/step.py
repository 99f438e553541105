"""One optimizer step over one float32 array, for the whole catalogue."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from . import optimizers, peers, step_closures, step_goals, step_parts, step_peers, step_pictures, streams
from .limits import Limits
from .optimizers import Optimizer
from .step_parts import best_of, spelled
from .step_peers import Problem, Stepping
from .tables import Result, Row, row
from .timing import Contender, alternate

SIZES = (100, 10_000, 100_000, 1_000_000, 10_000_000, 50_000_000)
QUICK_ROWS = ("SGD", "AdaGrad", "Adam", "Lion")
QUICK_SIZES = (100, 100_000, 1_000_000)
# From so many parameters on only the fastest of the others are waited for.
LARGE = 50_000_000
LARGE_MAKERS = (step_peers.own, step_peers.torch_fused, step_peers.torch_default, step_peers.deepspeed)
# It compiles for a second each time.
COMPILED_SIZES = (10_000, 1_000_000, 10_000_000)
# Below, a step is calls and threads that wait for one another: a bare loop would say nothing.
LEAST_BARE = 100_000
# Steps after which all are compared, up to so many parameters.
CHECKED_STEPS = ((10_000, 20), (1_000_000, 5), (optimizers.MOST, 2))
# Seconds: of all samples of one contender; of the first call of one that takes part.
SHARE, LONGEST = 0.3, 1.0
ROUNDS = 11


def contenders(given: Problem) -> tuple[list[Stepping], float]:
    """Everybody, some steps in, and the largest difference of a parameter, relative to the way it has gone."""
    size = given.parameters[0].size
    steps = next(steps for bound, steps in CHECKED_STEPS if size <= bound)
    makers: Sequence[Callable[[Problem], Stepping | None]] = LARGE_MAKERS if size >= LARGE else step_peers.MAKERS
    if given.optimizer.form == "closure":
        makers = step_closures.MAKERS
    if size not in COMPILED_SIZES:
        makers = [make for make in makers if make is not step_peers.optax_jitted]
    found: list[Stepping] = peers.built(makers, given, started=lambda one: one.run(steps))
    return found, step_peers.difference(found, given)


def measured(optimizer: Optimizer, size: int, threads: int, seconds: float) -> Row:
    """Everybody and the bare loops, in turns."""
    given = step_peers.problem(optimizer, size)
    found, difference = contenders(given)
    loops = bare(given, threads) if size >= LEAST_BARE else []
    turns = [*(one.contender for one in found), *loops]
    times = alternate(turns, seconds, ROUNDS, share=SHARE, longest=LONGEST)
    times = best_of(times, [one.name for one in loops], "bare")
    label = {"optimizer": optimizer.name, "parameters": spelled(size)}
    one = row(label, threads, ["ours"], times, None, difference)
    if "bare" in times:
        one.bare, one.moved = "bare", streams.moved(optimizer.passes, given.gradients[0].size)
    return one


def bare(given: Problem, threads: int) -> list[Contender]:
    passes, shape = given.optimizer.passes, given.parameters[0].shape
    if given.touched is not None:
        return streams.row_contenders(passes, given.parameters[0].size, given.touched, shape[1], threads)
    return streams.contenders(passes, given.parameters[0].size, threads)


def catalogue(options: Any, threads: int, chosen: Sequence[Optimizer]) -> Result:
    columns = ["torch fused", "torch default", "torch foreach", "DeepSpeed", "optax", "NumPy"]
    result = Result("Optimizer step", baselines=columns)
    for optimizer in chosen:
        for size in QUICK_SIZES if options.quick else SIZES:
            if size <= optimizer.most:
                peers.note(f"step {optimizer.name} {size}, threads {threads}")
                seconds = 0.2 if options.quick else 1.0 if size >= 10_000_000 else 0.3
                result.rows.append(measured(optimizer, size, threads, seconds))
    result.notes = [
        "One float32 array, lr 1e-3 unless the optimizer has none; the options are those of `optimizers.py`. "
        "torch default: foreach=False, which an optimizer over CPU tensors chooses by itself. optax: jitted, state "
        "donated. NumPy: in place, one ufunc an operation. DeepSpeed: its CPU Adam. SparseAdam: a tenth of the rows of "
        "a table; its bare loop goes over these rows, fetching some rows ahead or none. At "
        f"{spelled(LARGE)} only the fastest of the others; whose step takes more than {LONGEST:g} s is left out, and "
        "who is slow has fewer samples than ours. differ: largest difference of a parameter after some steps, relative "
        "to the longest way that one has gone; those whose formula differs are not compared.",
        streams.NOTE,
    ]
    return result


def measure(options: Any, threads: int, limits: Limits) -> list[Result]:
    names = options.rows.split(",") if options.rows else QUICK_ROWS if options.quick else ()
    chosen = optimizers.present(names)
    results = [catalogue(options, threads, chosen)]
    results += [part(options, threads, chosen) for part in (step_parts.cached, step_parts.many)]
    if not options.rows or "adamw" in options.rows:
        results.append(step_parts.staged(options, threads))
    results = [result for result in results if result.rows]
    results[0].notes += step_goals.summary({result.title: result.rows for result in results})
    return results


def draw(result: Result, folder: Path) -> list[Path]:
    """Bandwidth by size, and how many times longer torch takes. Writes ``step-*.svg``."""
    return [step_pictures.sizes(result, folder), step_pictures.speedups(result, folder)]
