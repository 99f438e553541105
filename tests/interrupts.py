"""Runs code again and again, with a KeyboardInterrupt at each point where the handler of a signal could raise one."""

from __future__ import annotations

import contextvars
import dis
import gc
import sys
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any, TypeVar

import schuss

S = TypeVar("S")

HERE = str(Path(schuss.__file__).parent)
# CPython runs signal handlers when a function of Python's begins, or goes on as a generator (RESUME), when it jumps
# back, and when a call is over. It does not do so elsewhere: not between a compiled __enter__, which BEFORE_WITH calls,
# and the first instruction of its block, nor between two stores. Up to 3.10 it looks after all calls, from 3.11 on only
# after those of compiled functions: here it is every one.
CALLS = {name for name in dis.opname if name.startswith("CALL") and "INTRINSIC" not in name}
JUMPS_BACK = {name for name in dis.opname if "JUMP_BACKWARD" in name and "NO_INTERRUPT" not in name} | {"JUMP_ABSOLUTE"}


class _Points:
    """A trace function that counts the points in schuss and raises at the one of a number.

    What schuss calls is a point where it begins. Whatever happens further inside is to schuss that the call raises.
    """

    def __init__(self, number: int) -> None:
        self.number, self.seen, self.where = number, 0, ""
        # The last operation in each frame.
        self.frames: dict[FrameType, str] = {}

    def __call__(self, frame: FrameType, event: str, argument: object) -> Any:
        operation = dis.opname[frame.f_code.co_code[frame.f_lasti]] if frame.f_lasti >= 0 else ""
        if event == "call" and operation == "YIELD_VALUE":
            return None  # a generator that goes on by an exception, as when it is closed
        if not (_is_here(frame) or frame.f_code.co_name == "operation"):
            if frame.f_back is not None and _is_here(frame.f_back):
                self._point(frame)
            return None
        if event == "call":
            frame.f_trace_opcodes, frame.f_trace_lines = True, False
            self._point(frame)
        elif event == "opcode":
            before, self.frames[frame] = self.frames.get(frame, ""), operation
            if before in CALLS or operation in JUMPS_BACK:
                self._point(frame)
        elif event == "exception":
            self.frames[frame] = ""  # the call is not over: it has failed
        return self

    def _point(self, frame: FrameType) -> None:
        self.seen += 1
        if self.seen - 1 == self.number:
            self.where = f"{Path(frame.f_code.co_filename).name}:{frame.f_lineno} {frame.f_code.co_name}"
            raise KeyboardInterrupt


def _is_here(frame: FrameType) -> bool:
    return frame.f_code.co_filename.startswith(HERE)


def broken(begin: Callable[[], S], step: Callable[[S], Any], check: Callable[[S], Any], every: int = 1) -> list[str]:
    """Interrupts `step` at each point in turn, each time from a new beginning.

    Parameters
    ----------
    begin : callable
        Gives what the other two are called with.
    step : callable
        What is interrupted; a function of the name `operation` itself, too.
    check : callable
        Raises where something is left half done. Called once more after a `step` without an interrupt.
    every : int
        Only every such point.

    Returns
    -------
    list of str
        The points where `check` raises, and what.
    """
    found = []
    for number in range(0, 100_000, every):
        subject, points, tracing = begin(), _Points(number), sys.gettrace()
        gc.disable()  # the points are to be the same ones each time
        sys.settrace(points)
        try:
            # In a context of its own: NumPy's errstate leaves set what it has set where its __exit__ is broken off.
            contextvars.copy_context().run(step, subject)
        except KeyboardInterrupt:
            pass
        finally:
            sys.settrace(tracing)
            gc.enable()
            points.frames.clear()  # which hold what was in use in them
        try:
            check(subject)
        except Exception as error:
            found.append(f"{points.where}: {error!r:.200}")
        if points.seen <= number:
            assert number > 1, "there is no point in this"
            return found
    raise AssertionError("this never ends")
