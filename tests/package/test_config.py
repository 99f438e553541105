"""Configuration and what importing the package loads."""

from __future__ import annotations

import subprocess
import sys

import pytest

import schuss


def test_show_config(capsys: pytest.CaptureFixture[str]) -> None:
    found = schuss.show_config(mode="dicts")
    assert capsys.readouterr().out == ""
    assert isinstance(found, dict)
    assert found["version"] == schuss.__version__
    assert found["isa"] in found["isa_available"]
    assert found["threads"] >= 1
    assert schuss.show_config() is None
    lines = dict(line.split(maxsplit=1) for line in capsys.readouterr().out.splitlines())
    assert lines["isa"] == found["isa"]
    assert set(lines) == set(found)
    with pytest.raises(ValueError, match=r"'dict'.*'dicts'"):
        schuss.show_config(mode="dict")


def test_threads_arguments() -> None:
    for call in (schuss.set_num_threads, schuss.threads):
        for value in (0, -1, 2**40):
            with pytest.raises(ValueError, match="n must be"):
                call(value)
        for value in (1.5, "2", True):
            with pytest.raises(TypeError, match="n must be"):
                call(value)


def test_import_is_light() -> None:
    code = """
import numpy, sys
before = set(sys.modules)
import schuss
heavy = {"json", "matplotlib", "pandas", "safetensors", "zipfile", "difflib", "sklearn", "torch", "typer", "rich"}
assert not heavy & (set(sys.modules) - before), heavy & set(sys.modules)
import threading
assert threading.active_count() == 1
assert schuss._core.worker_count() == 0
"""
    subprocess.run([sys.executable, "-c", code], check=True)
