"""The list of the quick subset fits the tests, or none are collected."""

from __future__ import annotations

import pytest

from tests import quick


def test_marked(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file, a test, and of tests for each instruction set the one in use."""
    assert request.node.get_closest_marker("quick")
    monkeypatch.setattr(quick, "QUICK", [line for line in quick.QUICK if line != "package/test_quick.py"])
    request.node.own_markers.clear()
    quick.mark([request.node])
    assert not request.node.get_closest_marker("quick")
    monkeypatch.setattr(quick, "QUICK", [*quick.QUICK, "package/test_quick.py::test_marked"])
    quick.mark([request.node])
    assert request.node.get_closest_marker("quick")


def test_instruction_set(isa: str, request: pytest.FixtureRequest) -> None:
    assert bool(request.node.get_closest_marker("quick")) == (isa == quick.ISA)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ("optim/test_none.py", "there is no tests/optim/test_none.py"),
        ("none/test_api.py::test_none", "there is no tests/none/test_api.py"),
        ("package/test_quick.py::test_none", "tests/package/test_quick.py has no test_none"),
    ],
)
def test_lines_that_name_nothing(
    wrong: str, message: str, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(quick, "QUICK", [*quick.QUICK, wrong])
    with pytest.raises(pytest.UsageError, match=message):
        quick.mark([request.node])


def test_a_folder_without_a_line(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(quick, "QUICK", [line for line in quick.QUICK if not line.startswith("optim/")])
    with pytest.raises(pytest.UsageError, match="nothing of tests/optim is quick"):
        quick.mark([request.node])
