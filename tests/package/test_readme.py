"""The Python examples of README.md and of the pages in docs/ run as they stand."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
EXAMPLES = [
    pytest.param(page.name, example, id=f"{page.name}-{k}")
    for page in PAGES
    for k, example in enumerate(re.findall(r"```python\n(.*?)```", page.read_text(encoding="utf-8"), re.S))
]


def test_there_are_examples() -> None:
    assert len(EXAMPLES) >= 6


@pytest.mark.parametrize(("page", "example"), EXAMPLES)
def test_example(page: str, example: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if "import torch" in example:
        pytest.importorskip("torch")
    monkeypatch.chdir(tmp_path)
    exec(compile(example, page, "exec"), {"__name__": "__main__"})
