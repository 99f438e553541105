"""The ways that a step of large arrays may walk over memory, beside torch's fused step and bare loops.

Which is fastest is a matter of the CPU. "ours" chooses by time, as it does everywhere.
"""

from __future__ import annotations

import os
from typing import Any

import schuss
from schuss import _core

from . import optimizers, peers, step_peers, streams
from .limits import Limits
from .step import bare
from .step_parts import best_of, spelled
from .step_peers import Problem
from .tables import Result, Row, row
from .timing import Contender, alternate

NAMES = ("adamw", "sgd", "adagrad")
SIZES = (1_000_000, 10_000_000, 100_000_000)
QUICK_SIZES = (10_000_000,)
# Bytes of memory for each parameter: everybody's arrays, bare loops on ordinary and huge pages.
BYTES = 96
ROUNDS = 21


def contenders(given: Problem) -> list[Contender]:
    """One optimizer of ours, in each way and as it chooses, and torch."""
    found, _, grads = step_peers.made(given)

    def contender(name: str, way: int | None) -> Contender:
        def run(calls: int) -> None:
            _core.force_way(way)
            for _ in range(calls):
                found.step(grads)
            _core.force_way(None)

        return Contender(name, run, quiet=True)

    for _ in range(5):  # chooses
        found.step(grads)
    ways = [contender(spelled_way(*way), k) for k, way in enumerate(_core.ways())]
    torch = step_peers.torch_fused(given)
    return [contender("ours", None), *ways, *([] if torch is None else [torch.contender])]


def spelled_way(chunk: int, ahead: int) -> str:
    return f"{chunk}+{ahead}" if ahead else str(chunk)


def measured(name: str, size: int, threads: int, seconds: float) -> Row:
    (optimizer,) = optimizers.present([name])
    given = step_peers.problem(optimizer, size)
    loops = bare(given, threads)
    turns = [*contenders(given), *loops]
    times = alternate(turns, seconds, ROUNDS)
    times = best_of(times, [one.name for one in loops], "bare")
    mine = [one for one in times if one not in ("bare", "torch fused")]
    chosen = _core.chosen_way(getattr(schuss, optimizer.name)._rule, threads > 1, 4 * size)
    label = {
        "optimizer": optimizer.name,
        "parameters": spelled(size),
        "chosen": "-" if chosen is None else spelled_way(*_core.ways()[chosen]),
    }
    one = row(label, threads, ["ours"], times, None, None, aside=[name for name in mine if name != "ours"])
    if "bare" in times:
        one.bare, one.moved = "bare", streams.moved(optimizer.passes, size)
    return one


def measure(options: Any, threads: int, limits: Limits) -> list[Result]:
    result = Result("Ways to walk over large arrays", baselines=["torch fused"])
    names = options.rows.split(",") if options.rows else NAMES
    for name in names:
        for size in QUICK_SIZES if options.quick else SIZES:
            if BYTES * size > os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"):
                peers.note(f"ways {name} {size} left out: not enough memory")
                continue
            peers.note(f"ways {name} {size}, threads {threads}")
            result.rows.append(measured(name, size, threads, 1.0 if options.quick else 3.0))
    result.notes = [
        "4096: chunks of so many bytes of the parameters, the look at the gradient and the rule one after the other. "
        "512+2048: chunks of 512 bytes, each array fetched 2048 bytes ahead. All have the same bits. ours: as it "
        "chooses; chosen: what that was ('-': no choice so far).",
        streams.NOTE,
    ]
    return [result]
