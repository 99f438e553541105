"""Optimizer steps as torch's users make them: any precision, one array or many, beside torch's own and its peers'."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from . import optimizers, peers, precisions, step_peers, streams, tensor_steps
from .limits import Limits
from .optimizers import Optimizer
from .precisions import Precision
from .step_parts import best_of, spelled
from .tables import Result, row
from .tensor_steps import Maker, Tensors
from .timing import Contender, alternate

SIZES, QUICK_SIZES = (1_000_000, 10_000_000, 100_000_000), (100_000, 1_000_000)
FUSED = ("Adam", "AdamW", "SGD", "AdaGrad")
# torch has no fused form of these for the CPU.
PLAIN = ("NAdam", "RMSProp", "RAdam", "Adafactor", "Muon")
PLAIN_SIZE = 10_000_000
# Elements of a step of which calls are all that is to be seen.
FEW = 100
# Small arrays, of so many elements at least and at most.
MANY, LEAST, MOST = 300, 20, 4096
# Bytes that all contenders of the largest rows need, for each byte of parameters and gradients in float32.
_COPIES = 10
# Seconds: of the first call of one that takes part; of all samples of one contender.
LONGEST, SHARE = 2.0, 1.5
ROUNDS = 15
_PLAIN, _WHOLE = "ours: float32", "ours: one array"

OURS: tuple[Maker, ...] = (tensor_steps.ours_tensors, tensor_steps.ours_arrays)
OTHERS: tuple[Maker, ...] = (
    tensor_steps.torch_fused,
    tensor_steps.torch_default,
    tensor_steps.torch_foreach,
    tensor_steps.torch_master,
    tensor_steps.deepspeed,
    tensor_steps.bitsandbytes,
)

COLUMNS = ["torch fused", "torch default", "torch foreach", "torch fused, copies", "DeepSpeed", "bitsandbytes"]


def rule(name: str) -> Optimizer:
    """Of the catalogue."""
    return next(one for one in optimizers.ALL if one.name == name)


def fits(size: int) -> bool:
    """Whether everybody's arrays fit into memory, where the system tells; else it is told."""
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
    except OSError:
        return True
    free = next(1024 * int(line.split()[1]) for line in lines if line.startswith("MemAvailable:"))
    if free < _COPIES * 8 * size:
        peers.note(f"{spelled(size)} parameters left out: {free / 1e9:.1f} GB of memory are free")
    return free >= _COPIES * 8 * size


def floats(options: Any, threads: int) -> Result:
    """The optimizers of which torch has fused forms, in float32, beside the bare loops."""
    result = Result("Torch step, float32", baselines=COLUMNS)
    for name in FUSED:
        optimizer = rule(name)
        for size in QUICK_SIZES if options.quick else SIZES:
            if fits(size):
                peers.note(f"torch step {name} {size}, threads {threads}")
                given = tensor_steps.tensors(step_peers.problem(optimizer, size))
                label = {"optimizer": name, "parameters": spelled(size)}
                loops = partial(streams.contenders, optimizer.passes, size, threads)
                _add(result, label, threads, given, options, loops, streams.moved(optimizer.passes, size))
    result.notes = [
        "One float32 array, everybody over memory of its own; ours: torch: an optimizer of schuss.torch over tensors; "
        "ours: arrays: the one of schuss over NumPy's arrays.",
        streams.NOTE,
    ]
    return result


def stored(options: Any, threads: int) -> Result:
    """AdamW in every precision, beside ours in float32 and the bare loops."""
    result = Result("Torch step, precisions of AdamW", baselines=COLUMNS)
    for size in QUICK_SIZES if options.quick else SIZES:
        if not fits(size):
            continue
        for precision in precisions.ALL[1:]:
            peers.note(f"torch step AdamW {precision.name} {size}, threads {threads}")
            given = tensor_steps.tensors(step_peers.problem(rule("AdamW"), size), precision)
            label = {"precision": precision.name, "parameters": spelled(size)}
            loops = partial(_beside, precision, size, threads)
            _add(result, label, threads, given, options, loops, int(precision.moved * size), [_PLAIN])
    result.notes = [
        "AdamW, weight decay 0.01; gradients in the parameters' precision. torch fused, copies: the gradient copied to "
        "float32, a fused step on the master, the master copied to bf16. DeepSpeed has no master, bitsandbytes only "
        "moments of 8 bits, torch only those of the parameters' precision. ours: float32: the same number of "
        "parameters, all in float32. differ: in bf16 a parameter is often half a unit away from where it should be, "
        "and bitsandbytes' codes on a CPU are not the nearest.",
        "bare: loops over four float32 arrays, three of them written, which move as many bytes as the precision has "
        "to: see the step subject.",
    ]
    return result


def catalogue(options: Any, threads: int) -> Result:
    """Optimizers of which torch has no fused form."""
    result = Result("Torch step, optimizers without a fused form", baselines=COLUMNS)
    for name in PLAIN:
        optimizer = rule(name)
        size = min(QUICK_SIZES[-1] if options.quick else PLAIN_SIZE, optimizer.most)
        peers.note(f"torch step {name} {size}, threads {threads}")
        given = tensor_steps.tensors(step_peers.problem(optimizer, size))
        label = {"optimizer": name, "parameters": spelled(size)}
        loops = partial(streams.contenders, optimizer.passes, size, threads)
        _add(result, label, threads, given, options, loops, streams.moved(optimizer.passes, size))
    result.notes = ["torch default: foreach=False. torch's Muon computes its products in bfloat16."]
    return result


def small(options: Any, threads: int) -> Result:
    """Calls: one small array, many small arrays, an optimizer for each of them."""
    result = Result(
        "Torch step of small arrays, AdamW",
        baselines=COLUMNS,
    )
    sizes = np.random.default_rng(0).integers(LEAST, MOST + 1, MANY).tolist()
    for precision in (precisions.FLOAT32, precisions.BFLOAT16):
        for arrays, each in (([FEW], False), (sizes, False), (sizes, True)):
            problem = tensor_steps.arrays_of(rule("AdamW"), arrays)
            given = tensor_steps.tensors(problem, precision, bare=each)
            text = f"{MANY} of {LEAST} to {MOST}" if len(arrays) > 1 else f"1 of {FEW}"
            label = {"arrays": f"{text}{', one each' * each}", "precision": precision.name}
            peers.note(f"torch step of {label['arrays']} {precision.name}, threads {threads}")
            beside = partial(_whole, sum(arrays)) if len(arrays) > 1 and not each else list
            _add(result, label, threads, given, options, beside, aside=[_WHOLE], each=each)
    result.notes = [
        f"{MANY} arrays have {spelled(sum(sizes))} elements together; ours: one array: one float32 array of as many. "
        "one each: an optimizer for each, made over a tensor that requires no gradient, stepped one after the other "
        "from Python."
    ]
    return result


def _beside(precision: Precision, size: int, threads: int) -> list[Contender]:
    """Bare loops that move as many bytes as a step of so many parameters, and ours in float32."""
    found = streams.moving(int(size * precision.moved), threads)
    return [*found, _flat(_PLAIN, size)]


def _whole(size: int) -> list[Contender]:
    return [_flat(_WHOLE, size)]


def _flat(name: str, size: int) -> Contender:
    """Ours over one array in float32."""
    plain = tensor_steps.ours_arrays(tensor_steps.tensors(step_peers.problem(rule("AdamW"), size)))
    plain.run(1)
    return Contender(name, plain.run)


def _add(
    result: Result,
    label: dict[str, str],
    threads: int,
    given: Tensors,
    options: Any,
    beside: Callable[[], list[Contender]],
    moved: int = 0,
    aside: Sequence[str] = (),
    each: bool = False,
) -> None:
    """A row of all who have the precision, taking turns; none if ours do not."""
    size = sum(g.size for g in given.gradients)
    steps = 20 if size < FEW * MANY else 3
    parts = [[tensor_steps.one_each(make) for make in makers] if each else makers for makers in (OURS, OTHERS)]
    found = tensor_steps.built(parts[0], given, steps)
    if not found:
        peers.note(f"{', '.join(label.values())} left out: it is not among ours")
        return
    mine = [one.name for one in found]
    found += tensor_steps.built(parts[1], given, steps)
    difference = step_peers.difference(found, given.problem)
    loops = beside()
    turns = [*(one.contender for one in found), *loops]
    seconds = 0.2 if options.quick else 3.0 if size >= 10_000_000 else 1.0
    times = alternate(turns, seconds, ROUNDS, share=SHARE, longest=LONGEST)
    times = best_of(times, [one.name for one in loops if one.name.startswith("bare")], "bare")
    one = row(label, threads, mine, times, None, difference, aside)
    if "bare" in times:
        one.bare, one.moved = "bare", moved
    result.rows.append(one)


def measure(options: Any, threads: int, limits: Limits) -> list[Result]:
    parts = {"floats": floats, "stored": stored, "catalogue": catalogue, "small": small}
    wanted = parts.keys() & set((options.rows or "").split(",")) or parts.keys()
    found = [part(options, threads) for name, part in parts.items() if name in wanted]
    return [one for one in found if one.rows]
