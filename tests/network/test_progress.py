"""The line that fit redraws: what it says, and that it never wraps, in a terminal of any width."""

from __future__ import annotations

import fcntl
import os
import re
import struct
import sys
import termios
import time
from pathlib import Path

import pytest

from schuss.progress import BAR_WIDTH, LEAST_BAR, Clock, arranged, duration

LOGS = {"loss": 0.12345, "accuracy": 0.9876, "val_loss": 1.2345e-05, "val_accuracy": 0.91234}
SCRIPT = """
import sys, time
import numpy as np, schuss
X = np.random.default_rng(0).normal(size=(4000, 20))
y = (X[:, 0] > 0).astype(int)
net = schuss.Network([schuss.Dense(20, 30, "relu"), schuss.Dense(30, 2)], seed=0)
net.fit(X, y, loss="cross_entropy", epochs=14, validation_fraction=0.2, metrics="accuracy", verbose=1,
        callbacks=lambda record: time.sleep(0.13))
"""


def of_columns(columns: int, script: str) -> list[str]:
    """What a script writes to a terminal of so many columns, cut where the line is begun anew."""
    pty = pytest.importorskip("pty")
    child, terminal = pty.fork()
    if child == 0:
        try:
            os.environ.update(PYTHONPATH=os.pathsep.join(sys.path), COLUMNS=str(columns), TERM="xterm")
            time.sleep(0.1)  # until the size is set
            os.execv(sys.executable, [sys.executable, "-c", script])
        finally:
            os._exit(1)
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    found = b""
    while True:
        try:
            data = os.read(terminal, 65536)
        except OSError:  # the other end is closed
            break
        if not data:
            break
        found += data
    assert os.waitpid(child, 0)[1] == 0, found.decode()
    return found.decode().split("\r")


@pytest.mark.skipif(sys.platform == "win32", reason="there are no such terminals")
@pytest.mark.parametrize("columns", [30, 60, 120])
def test_in_a_terminal(columns: int) -> None:
    *drawn, last, end = of_columns(columns, SCRIPT)
    drawn = [text for text in drawn if text]
    assert end.strip("\n") == "" and last.startswith("epoch 14/14  loss ")
    assert len(drawn) > 8 and all(len(text) < columns for text in drawn)
    assert all(re.match(r"(epoch )?\d+/14 ", text) for text in drawn)
    whole = drawn[-2].rstrip()
    assert all(re.search(r"\bloss \d", text) for text in drawn)
    if columns == 120:
        assert re.fullmatch(
            r"epoch \d+/14 \[#+\.*\]  0:0\d left  loss \S+  accuracy \S+  val_loss \S+  val_accuracy \S+", whole
        )
    if columns == 60:  # the numbers that count are there
        assert "val_loss" in whole and "val_accuracy" in whole


def test_what_gives_way_first() -> None:
    """The bar, then the time, then metrics of the training rows."""
    seen = []
    for width in range(130, 10, -1):
        line = arranged(width, "epoch 12/100", 75.0, LOGS)
        text = line.text(0.5)
        assert len(text) <= width
        assert text.removeprefix("epoch ").startswith("12/100")
        seen.append((line.bar > 0, "1:15 left" in text, " accuracy" in text, "val_accuracy 0.912" in text))
        if width >= 24:
            assert "  loss 0.12" in text
    assert list(dict.fromkeys(seen)) == [
        (True, True, True, True), (False, True, True, True), (False, False, True, True), (False, False, False, True),
        (False, False, False, False),
    ]  # fmt: skip
    assert seen == sorted(seen, reverse=True)
    bars = [arranged(width, "epoch 12/100", 75.0, LOGS).bar for width in range(130, 10, -1)]
    assert bars == sorted(bars, reverse=True) and set(bars) == {0, *range(LEAST_BAR, BAR_WIDTH + 1)}


def test_without_a_width() -> None:
    line = arranged(0, "epoch 3/9", None, {"loss": 0.5})
    assert line.text(0.5) == "epoch 3/9 [############............] loss 0.5"
    assert arranged(0, "epoch 3/9", 3.0, {"loss": 0.5}).text(1.0) == f"epoch 3/9 [{'#' * 24}]  0:03 left  loss 0.5"


@pytest.mark.parametrize("width", range(1, 40))
def test_the_narrowest(width: int) -> None:
    assert len(arranged(width, "epoch 12/100", 75.0, LOGS).text(0.5)) <= width


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0:00"), (7.4, "0:07"), (59.6, "1:00"), (750, "12:30"), (3723, "1:02:03"), (359999, "99:59:59"),
     (864000, "10 days"), (-3, "0:00")],
)  # fmt: skip
def test_durations(seconds: float, text: str) -> None:
    assert duration(seconds) == text


def test_what_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [100.0]
    monkeypatch.setattr("schuss.progress.perf_counter", lambda: now[0])
    clock = Clock(30)  # of a network that has had 20 epochs
    assert clock.left(21, 0.5) is None  # nothing is known yet
    now[0] += 4.0
    assert clock.left(22, 1.0) == pytest.approx(16.0)
    assert clock.left(22, 0.0) == pytest.approx(36.0)
    assert clock.left(30, 1.0) is None


def test_a_terminal_that_becomes_narrower(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    from schuss.progress import Progress

    class Terminal:
        text = ""

        def isatty(self) -> bool:
            return True

        def fileno(self) -> int:
            return 2

        def write(self, text: str) -> None:
            self.text += text

        def flush(self) -> None:
            pass

    terminal, columns = Terminal(), [100]
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setattr(os, "get_terminal_size", lambda fd: os.terminal_size((columns[0], 24)))
    monkeypatch.setattr("schuss.progress.INTERVAL", 0.0)
    progress = Progress(1, 9, 10)
    progress.batch(1, 5, 0.5)
    progress.epoch(1, 0.1, LOGS)
    columns[0] = 40
    progress.batch(2, 5, 0.25)
    drawn = terminal.text.split("\r")
    assert 40 < len(drawn[2]) < 100
    assert len(drawn[3]) < 40 and drawn[3].startswith("2/9  loss 0.25")
    progress.close()
    assert terminal.text.endswith("\n")
