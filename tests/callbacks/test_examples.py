"""The examples of the callbacks' docstrings, and the package's public names."""

from __future__ import annotations

import doctest
import subprocess
import sys
from importlib import import_module

import pytest

import schuss
from schuss import callbacks

MODULES = ["checkpoint", "csv_logger", "layer_statistics", "time_limit"]


@pytest.mark.parametrize("name", MODULES)
def test_examples(name: str) -> None:
    found = doctest.testmod(import_module(f"schuss.callbacks.{name}"))
    assert found.attempted >= 4 and not found.failed


def test_names() -> None:
    assert schuss.callbacks is callbacks and "callbacks" in dir(schuss) and "callbacks" in schuss.__all__
    assert all(hasattr(callbacks, name) for name in callbacks.__all__)


def test_nothing_is_loaded_before_it_is_asked_for() -> None:
    code = (
        "import sys, numpy as np, schuss\n"
        "net = schuss.Network([schuss.Dense(2, 1)], seed=0)\n"
        "net.fit(np.ones((4, 2)), np.ones(4), loss='mse', epochs=1)\n"
        "late = ('schuss.callbacks', 'schuss.training.callback', 'schuss.training.resuming', 'schuss.files')\n"
        "print([name for name in sys.modules if name.startswith(late)])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
