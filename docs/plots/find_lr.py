"""Draws plots/find_lr.png: ``python docs/plots/find_lr.py``."""

from pathlib import Path

import schuss
from benchmarks.find_lr import Problem

if __name__ == "__main__":
    problem = Problem.of("digits")
    network = problem.network(0)
    found = schuss.find_lr(network, problem.x, problem.y, loss=problem.loss, optimizer="adam")
    print(found)
    found.plot(Path(__file__).parent / "find_lr.png")
