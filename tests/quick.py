"""The quick subset, `pytest -m quick`: what catches most mistakes, in less than a minute, from every folder of tests.

A line of the list is a file, all of whose tests are taken, or one test of a file. Of a test for each instruction set
the one in use is taken. Nothing is collected as long as a line names what is not there, or a folder has no line.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from schuss import _core

TESTS = Path(__file__).parent
ISA = _core.config()["isa"]

QUICK = [
    "cli/test_datasets.py",
    "cli/test_preprocessing.py",
    "core/test_calls.py",
    "core/test_core.py",
    "core/test_gemm.py::test_small_sizes",
    "core/test_init.py",
    "core/test_threads.py",
    "layers/test_api.py",
    "layers/test_bits.py::test_threads_and_instruction_sets",
    "layers/test_gradients.py",
    "layers/test_trees.py::test_values_and_gradients",
    "minimization/test_minimize.py::test_every_method",
    "minimization/test_scipy.py::test_without_scipy",
    "network/test_dense_bits.py::test_losses",
    "network/test_dense_bits.py::test_single_calls",
    "network/test_fit.py",
    "network/test_gradients.py",
    "network/test_history.py",
    "network/test_named_inputs.py",
    "network/test_save.py",
    "network/test_save_version1.py",
    "optim/test_api.py",
    "optim/test_lbfgs.py",
    "optim/test_rules.py::test_same_bits_as_twin",
    "optim/test_structure.py",
    "package/test_bad_input.py",
    "package/test_config.py",
    "package/test_quick.py",
    "package/test_readme.py",
    "schedules/test_saved.py",
    "schedules/test_schedules.py",
    "sklearn/test_messages.py",
]


def stale() -> list[str]:
    """The lines whose file is not there, and the folders of tests that have no line."""
    files = {line.partition("::")[0] for line in QUICK}
    missing = [f"there is no tests/{file}" for file in sorted(files) if not (TESTS / file).is_file()]
    folders = {path.parent.name for path in TESTS.glob("*/test_*.py")} - {file.partition("/")[0] for file in files}
    return missing + [f"nothing of tests/{folder} is quick" for folder in sorted(folders)]


def mark(items: list[pytest.Item]) -> None:
    """Marks those that are quick; raises UsageError where the list does not fit the tests."""
    wrong = stale()
    modules = {}
    for item in items:
        if not isinstance(item, pytest.Function) or not item.path.is_relative_to(TESTS):
            continue
        file = item.path.relative_to(TESTS).as_posix()
        modules[file] = item.module
        listed = file in QUICK or f"{file}::{item.originalname}" in QUICK
        if listed and (not hasattr(item, "callspec") or item.callspec.params.get("isa", ISA) == ISA):
            item.add_marker("quick")
    for line in QUICK:
        file, _, name = line.partition("::")
        if name and file in modules and not hasattr(modules[file], name):
            wrong.append(f"tests/{file} has no {name}")
    if wrong:
        raise pytest.UsageError("the list in tests/quick.py is wrong: " + "; ".join(wrong))
