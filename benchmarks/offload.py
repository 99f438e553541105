"""Optimizers for states that live in host memory: gradients arrive one by one, and each has an instance that steps it.

The arrivals are simulated: another thread copies the gradients of a small transformer, last layer first, into the
memory that belongs to the parameters, and says which one is there.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from queue import SimpleQueue
from typing import Any

import numpy as np

from . import optimizers, peers, precisions, step_peers, streams, tensor_steps, torchao_card
from .cases import LEARNING_RATE
from .limits import Limits
from .precisions import Precision
from .step_parts import best_of, spelled
from .step_peers import Stepping
from .tables import Result, row
from .tensor_steps import Maker, Stored, Tensors
from .timing import alternate

LAYERS, WIDTH, VOCABULARY, TIMES = 6, 512, 20_000, 512
QUICK_LAYERS, QUICK_VOCABULARY = 1, 2000
PRECISIONS = (
    precisions.FLOAT32,
    precisions.BFLOAT16,
    precisions.MASTER,
    precisions.EIGHT,
    Precision("bf16, split, moments 8 bit", "bfloat16", "8bit", "split"),
)
MAKERS: tuple[Maker, ...] = (
    tensor_steps.ours_tensors,
    tensor_steps.ours_arrays,
    tensor_steps.torch_fused,
    tensor_steps.torch_master,
    tensor_steps.deepspeed,
)
TITLE = "Offloaded optimizer, AdamW"


def sizes(layers: int, vocabulary: int) -> list[int]:
    """Elements of each parameter of a transformer, from the first layer to the last."""
    norm, square = [WIDTH, WIDTH], WIDTH * WIDTH
    block = [*norm, 3 * square, 3 * WIDTH, square, WIDTH, *norm, 4 * square, 4 * WIDTH, 4 * square, WIDTH]
    return [vocabulary * WIDTH, TIMES * WIDTH, *block * layers, *norm]


class _Arrivals:
    """A thread that lets gradients arrive, last first, whenever it is asked to."""

    def __init__(self, sources: Sequence[Stored], places: Sequence[Stored]) -> None:
        self._sources, self._places = sources, places
        self._asked: SimpleQueue[bool] = SimpleQueue()
        self.arrived: SimpleQueue[int] = SimpleQueue()
        self._thread = threading.Thread(target=self._work, daemon=True)
        self._thread.start()

    def ask(self) -> None:
        self._asked.put(True)

    def end(self) -> None:
        self._asked.put(False)
        self._thread.join()

    def _work(self) -> None:
        while self._asked.get():
            for k in reversed(range(len(self._places))):
                np.copyto(self._places[k], self._sources[k])
                self.arrived.put(k)


def _on_arrival(make: Maker, given: Tensors, arrivals: _Arrivals) -> Stepping | None:
    """An instance a parameter, stepped when its gradient is there."""
    each = [make(given.one(k)) for k in range(len(given.gradients))]
    found = [one for one in each if one is not None]
    if len(found) < len(each):
        return None
    steps = [one.step for one in found]

    def step() -> None:
        arrivals.ask()
        for _ in steps:
            steps[arrivals.arrived.get()]()

    return Stepping(found[0].name, step, found[0].parameters)


def _named(make: Maker, arrivals: _Arrivals) -> Maker:
    def made(given: Tensors) -> Stepping | None:
        return _on_arrival(make, given, arrivals)

    made.__name__ = make.__name__
    return made


def _in_torchao(name: str, kind: Callable[[Precision], tuple[Any, dict[str, Any]] | None]) -> Maker:
    """torchao's way over a class of optimizers: gradients by hooks of a backward pass, steps in order of arrival."""

    def made(given: Tensors) -> Stepping | None:
        torch, home = peers.module("torch"), torchao_card.offloading()
        found = kind(given.precision)
        if torch is None or home is None or found is None:
            return None
        parameters = [torch.nn.Parameter(one) for one in map(tensor_steps.tensor, given.fresh())]
        gradients = [tensor_steps.tensor(g) for g in given.gradients]
        options = {"lr": LEARNING_RATE, **given.optimizer.options, **found[1]}
        optimizer = home.CPUOffloadOptimizer(parameters, found[0], minimal_size=0, **options)
        parameters_back, gradients_back = parameters[::-1], gradients[::-1]

        def step() -> None:
            torch.autograd.backward(parameters_back, gradients_back)
            optimizer.step()
            optimizer.zero_grad()

        return Stepping(f"{name} in torchao", step, lambda: tensor_steps.numbers(parameters[0]))

    made.__name__ = f"{name} in torchao"
    return made


def _ours(precision: Precision) -> tuple[Any, dict[str, Any]] | None:
    home = peers.module("schuss.torch")
    return home and (home.AdamW, {} if precision.plain else dict(precision.options))


def _torch(precision: Precision) -> tuple[Any, dict[str, Any]] | None:
    torch = peers.module("torch")
    # It asks for the fused form by itself.
    return torch and (torch.optim.AdamW, {}) if precision in (precisions.FLOAT32, precisions.BFLOAT16) else None


def _deepspeed(precision: Precision) -> tuple[Any, dict[str, Any]] | None:
    adam = tensor_steps.deepspeed_adam()
    return adam and (adam, {}) if precision in (precisions.FLOAT32, precisions.BFLOAT16) else None


HANDED = (_in_torchao("ours", _ours), _in_torchao("torch fused", _torch), _in_torchao("DeepSpeed", _deepspeed))


def measure(options: Any, threads: int, limits: Limits) -> list[Result]:
    shapes = sizes(QUICK_LAYERS, QUICK_VOCABULARY) if options.quick else sizes(LAYERS, VOCABULARY)
    optimizer = next(one for one in optimizers.ALL if one.name == "AdamW")
    result = Result(TITLE, baselines=["torch fused", "torch fused, copies", "DeepSpeed"])
    handed = Result(f"{TITLE}, in torchao", baselines=["torch fused in torchao", "DeepSpeed in torchao"])
    for precision in PRECISIONS:
        peers.note(f"offload {precision.name}, threads {threads}")
        given = tensor_steps.tensors(tensor_steps.arrays_of(optimizer, shapes), precision, bare=True)
        arrivals = _Arrivals([g.copy() for g in given.gradients], given.gradients)
        moved = precision.moved + 2 * precisions.BYTES[precision.stored]
        ours, others = ([_named(make, arrivals) for make in some] for some in (MAKERS[:2], MAKERS[2:]))
        _add(result, given, ours, others, moved, options, threads)
        _add(handed, given, HANDED[:1], HANDED[1:], moved, options, threads)
        arrivals.end()
    result.notes = [
        f"The {len(shapes)} parameters of a transformer, {spelled(sum(shapes))} elements, an optimizer for each over "
        "a tensor that requires no gradient. Another thread copies gradients, last layer first; whoever steps takes "
        "them in that order as they arrive. The time is that from the first copy to the last step.",
        "bare: loops over four float32 arrays, three of them written, which move as many bytes as the step and the "
        "arrival of the gradients have to.",
    ]
    handed.notes = [
        "The same parameters in torchao's CPUOffloadOptimizer, whose card is the CPU (`torchao_card.py`): a backward "
        "pass that only hands gradients over, then step() and zero_grad(). Beyond the steps it copies gradients and "
        "parameters on the thread that calls."
    ]
    return [one for one in (result, handed) if one.rows]


def _add(
    result: Result,
    given: Tensors,
    ours: Sequence[Maker],
    others: Sequence[Maker],
    moved: float,
    options: Any,
    threads: int,
) -> None:
    found = tensor_steps.built(ours, given, 2)
    if not found:
        peers.note(f"{given.precision.name} left out of {result.title}: it is not among ours")
        return
    mine = [one.name for one in found]
    found += tensor_steps.built(others, given, 2)
    difference = step_peers.difference(found, given.problem)
    nbytes = int(moved * sum(g.size for g in given.gradients))
    loops = streams.moving(nbytes, threads)
    turns = [*(one.contender for one in found), *loops]
    times = alternate(turns, 0.3 if options.quick else 3.0, share=1.0)
    times = best_of(times, [one.name for one in loops], "bare")
    one = row({"precision": given.precision.name}, threads, mine, times, None, difference)
    if "bare" in times:
        one.bare, one.moved = "bare", nbytes
    result.rows.append(one)
