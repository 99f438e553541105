"""`schuss.compare` beside the same search in torch: the same rates, seeds, starts, batches, steps and validation.

    python -m benchmarks.compare_torch docs/compare_torch.json [digits wine ...] [--rounds 3] [--seeds 3]

torch is used as its users would for speed: rows shuffled once an epoch and cut by views, fused optimizers where torch
has them on the CPU and foreach ones elsewhere, no synchronisation within steps, and the number of threads that is
fastest for this network. Both take turns. Beside the plain loop there is one that gives every other training to a
second process of one thread.
"""

from __future__ import annotations

import argparse
import json
import math
import multiprocessing
import os
import time
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

import schuss
from schuss import _core
from schuss.comparison import Comparison
from schuss.comparison.data import lasting
from schuss.comparison.tables import Prepared

from .compare_data import NAMES, network_of, rows_of

#: Label, rate, seed and steps.
Job = tuple[str, float, int, int]


def jobs_of(found: Comparison) -> list[Job]:
    """All trainings of a comparison, each as far as it went."""
    return [(one.label, tried.lr, tried.seed, tried.steps) for one in found.contenders for tried in one.tried]


def optimizer(torch: Any, label: str, parameters: list[Any], lr: float) -> Any:
    """torch's own, in its fastest form."""
    optim = torch.optim
    if label == "Lion":
        return Lion(torch, parameters, lr)
    made: dict[str, Any] = {
        "SGD": lambda: optim.SGD(parameters, lr=lr, fused=True),
        "SGD + momentum": lambda: optim.SGD(parameters, lr=lr, momentum=0.9, fused=True),
        "AdaGrad": lambda: optim.Adagrad(parameters, lr=lr, fused=True),
        "RMSProp": lambda: optim.RMSprop(parameters, lr=lr, foreach=True),
        "Adam": lambda: optim.Adam(parameters, lr=lr, fused=True),
        "AdamW": lambda: optim.AdamW(parameters, lr=lr, fused=True),
    }
    return made[label]()


class Lion:
    """Lion, which torch lacks, by its functions over lists of tensors."""

    def __init__(self, torch: Any, parameters: list[Any], lr: float) -> None:
        self._torch, self._parameters, self._lr = torch, parameters, lr
        self._momenta = [torch.zeros_like(p) for p in parameters]

    def zero_grad(self) -> None:
        """As torch's."""
        for p in self._parameters:
            p.grad = None

    def step(self) -> None:
        """As torch's."""
        torch = self._torch
        with torch.no_grad():
            gradients = [p.grad for p in self._parameters]
            updates = torch._foreach_lerp(self._momenta, gradients, 0.1)
            torch._foreach_add_(self._parameters, torch._foreach_sign(updates), alpha=-self._lr)
            torch._foreach_lerp_(self._momenta, gradients, 0.01)


class Search:
    """The rows as tensors, and trainings on them."""

    def __init__(self, rows: Prepared, found: Comparison, threads: int) -> None:
        import torch

        torch.set_num_threads(threads)
        self._torch, self._rows, self._found = torch, rows, found
        assert rows.validation_data is not None
        self._x, self._vx = torch.from_numpy(rows.X), torch.from_numpy(rows.validation_data[0])
        self._classes = len(rows.target.classes)
        self._y, self._vy = (self._target(y) for y in (rows.y, rows.validation_data[1]))

    def _target(self, y: Any) -> Any:
        return self._torch.from_numpy(y if self._classes else y.astype(np.float32))

    def run(self, jobs: list[Job]) -> list[float]:
        """The best validation loss of each."""
        return [self._train(*job) for job in jobs]

    def _train(self, label: str, lr: float, seed: int, steps: int) -> float:
        torch, found = self._torch, self._found
        nn, functional = torch.nn, torch.nn.functional
        start = network_of(self._rows, seed).parameters
        model = nn.Sequential(nn.Linear(*start[0].shape), nn.ReLU(), nn.Linear(*start[2].shape))
        with torch.no_grad():
            for linear, k in ((model[0], 0), (model[2], 2)):
                linear.weight.copy_(torch.from_numpy(start[k].T.copy()))
                linear.bias.copy_(torch.from_numpy(start[k + 1].copy()))
        loss_of = functional.cross_entropy if self._classes else functional.mse_loss
        opt = optimizer(torch, label, list(model.parameters()), lr)
        size, rows = found.batch_size, len(self._x)
        made, epoch = 0, 0
        curve: list[float] = []
        losses = []
        while made < steps:
            order = torch.from_numpy(_core.permutation(rows, seed, epoch))
            epoch += 1
            parts: Any = (self._x[order], self._y[order])
            batches = zip(*(part.split(size) for part in parts), strict=True)
            for x, y in batches:
                opt.zero_grad()
                loss = loss_of(model(x), y)
                loss.backward()
                opt.step()
                losses.append(loss.detach())
                made += 1
                if made >= steps:
                    break
            if made % found.every == 0:
                with torch.no_grad():
                    value = float(loss_of(model(self._vx), self._vy))
                if not math.isfinite(value):
                    return math.nan
                curve.append(value)
        return lasting(curve) if curve else math.nan


def _in_process(connection: Any, rows: Prepared, found: Comparison) -> None:
    search = Search(rows, found, 1)
    while True:
        jobs = connection.recv()
        if jobs is None:
            return
        connection.send(search.run(jobs))


def measure(name: str, rounds: int, seeds: int) -> dict[str, Any]:
    """Times of both, in turns, and how far their losses are from one another."""
    rows = rows_of(name)

    def ours() -> Comparison:
        return schuss.compare(
            rows.X, rows.y, validation_data=rows.validation_data, scale=False, others=False, seeds=seeds, name=name
        )

    found = ours()
    jobs = jobs_of(found)
    context = multiprocessing.get_context("spawn")
    here, there = context.Pipe()
    helper = context.Process(target=_in_process, args=(there, rows, found), daemon=True)
    helper.start()
    search = Search(rows, found, 1)
    threads = _fastest(search, jobs)
    times: dict[str, list[float]] = {"schuss": [], "torch": [], "torch in two processes": []}
    of_cpu: dict[str, list[float]] = {"schuss": [], "torch": []}
    for _ in range(rounds):
        start, cpu = time.perf_counter(), time.process_time()
        ours()
        times["schuss"].append(time.perf_counter() - start)
        of_cpu["schuss"].append(time.process_time() - cpu)
        search._torch.set_num_threads(threads)
        start, cpu = time.perf_counter(), time.process_time()
        losses = search.run(jobs)
        times["torch"].append(time.perf_counter() - start)
        of_cpu["torch"].append(time.process_time() - cpu)
        search._torch.set_num_threads(1)
        start = time.perf_counter()
        here.send(jobs[1::2])
        search.run(jobs[::2])
        here.recv()
        times["torch in two processes"].append(time.perf_counter() - start)
    here.send(None)
    helper.join()
    known = [tried.loss for one in found.contenders for tried in one.tried]
    near = [abs(a - b) <= 0.02 * found.start for a, b in zip(known, losses, strict=True) if a == a and b == b]
    ratios = {
        peer: median(b / a for a, b in zip(times["schuss"], times[peer], strict=True))
        for peer in ("torch", "torch in two processes")
    }
    return {
        "network": found.network,
        "trainings": len(jobs),
        "steps": sum(steps for *_, steps in jobs),
        "torch_threads": threads,
        "seconds": times,
        "cpu_seconds": of_cpu,
        "cpu_ratio": median(b / a for a, b in zip(of_cpu["schuss"], of_cpu["torch"], strict=True)),
        "ratio": ratios["torch"],
        "ratio_of_two_processes": ratios["torch in two processes"],
        "losses_alike": sum(near) / len(near),
        "load": os.getloadavg()[0],
        "seeds": seeds,
        "cpus": os.cpu_count(),
    }


def _fastest(search: Search, jobs: list[Job]) -> int:
    """The number of threads with which torch is fastest here, by a few trainings."""
    some = [(label, lr, seed, min(steps, 200)) for label, lr, seed, steps in jobs[:: max(1, len(jobs) // 7)]]
    times = {}
    for threads in (1, os.cpu_count() or 1):
        search._torch.set_num_threads(threads)
        search.run(some[:1])
        start = time.perf_counter()
        search.run(some)
        times[threads] = time.perf_counter() - start
    return min(times, key=lambda threads: times[threads])


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("path", type=Path)
    parser.add_argument("names", nargs="*")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seeds", type=int, default=3)
    given = parser.parse_args()
    answers = json.loads(given.path.read_text()) if given.path.exists() else {}
    for name in given.names or NAMES:
        one = answers[name] = measure(name, given.rounds, given.seeds)
        took = {who: round(median(times), 2) for who, times in one["seconds"].items()}
        print(
            f"{name}: {one['trainings']} trainings, {one['steps']} steps; {took}; torch {one['ratio']:.1f} times, "
            f"in two processes {one['ratio_of_two_processes']:.1f} times, by CPU time {one['cpu_ratio']:.1f}; "
            f"{100 * one['losses_alike']:.0f}% of losses alike; load {one['load']:.1f}",
            flush=True,
        )
        given.path.write_text(json.dumps(answers, indent=1) + "\n")


if __name__ == "__main__":
    main()
