"""Runs code again and again, with an exception at each point where a signal's handler could raise one."""

from __future__ import annotations

import dis
import gc
import sys
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any

import schuss

HERE = str(Path(schuss.__file__).parent)
# CPython runs signal handlers when a function of Python's begins (RESUME; in a generator, when it goes on, too), when
# it jumps back, and when a call is over. It does not do so elsewhere: not between a compiled __enter__ and the
# first instruction of its block, nor between two stores. Up to 3.10 it looks after every call, from 3.11 on only after
# those of compiled functions: here it is every one.
CALLS = {name for name in dis.opname if name.startswith("CALL") and name != "CALL_INTRINSIC_1"}
JUMPS_BACK = {name for name in dis.opname if "JUMP_BACKWARD" in name and "NO_INTERRUPT" not in name} | {"JUMP_ABSOLUTE"}


class _Points:
    """A trace function that raises KeyboardInterrupt at points of a number: in schuss, and in what it calls as far as
    that begins (what happens in there is nothing to schuss but that the call raises)."""

    def __init__(self, wanted: int, also: str) -> None:
        self.wanted, self.seen = wanted, 0
        self.where = ""
        self._also = also
        self.frames: dict[FrameType, str] = {}

    def __call__(self, frame: FrameType, event: str, argument: object) -> Any:
        if event == "call" and dis.opname[frame.f_code.co_code[frame.f_lasti]] == "YIELD_VALUE":
            return None  # a generator that goes on by an exception, as when it is closed
        name = frame.f_code.co_filename
        if not (name.startswith(HERE) or frame.f_code.co_name == self._also):
            back = frame.f_back
            if back is not None and back.f_code.co_filename.startswith(HERE):
                self._point(frame)
            return None
        if event == "call":
            frame.f_trace_opcodes, frame.f_trace_lines = True, False
            self._point(frame)
        elif event == "opcode":
            operation = dis.opname[frame.f_code.co_code[frame.f_lasti]]
            before = self.frames.get(frame, "")
            self.frames[frame] = operation
            if before in CALLS or operation in JUMPS_BACK:
                self._point(frame)
        elif event == "exception":
            self.frames[frame] = ""  # the call is not over: it has failed
        return self

    def _point(self, frame: FrameType) -> None:
        if self.seen == self.wanted:
            self.seen += 1
            self.where = f"{Path(frame.f_code.co_filename).name}:{frame.f_lineno} {frame.f_code.co_name}"
            raise KeyboardInterrupt
        self.seen += 1


def at_each_point(
    begin: Callable[[], Any], step: Callable[[Any], None], check: Callable[[Any, bool], Any]
) -> list[str]:
    """Interrupts `step` at each point in turn, each time from a new beginning.

    Parameters
    ----------
    begin : callable
        What `step` is called with.
    step : callable
        The operation; a function of the name `operation` is interrupted itself, too.
    check : callable
        Called with it after the interrupt, and with whether there was one. Raises AssertionError where something is
        left half done.

    Returns
    -------
    list of str
        The points where `check` has failed, and how.
    """
    broken = []
    for number in range(100_000):
        subject = begin()
        points = _Points(number, "operation")
        found = sys.gettrace()
        interrupted = False
        gc.disable()  # what is found by chance only would be counted else
        sys.settrace(points)
        try:
            step(subject)
        except KeyboardInterrupt:
            interrupted = True
        finally:
            sys.settrace(found)
            points.frames.clear()  # which hold what was in use in them
            gc.enable()
        try:
            check(subject, interrupted or points.seen > number)
        except Exception as error:
            broken.append(f"{points.where}: {type(error).__name__}: {str(error)[:100]}")
        if points.seen <= number:
            assert number > 0, "there was no point at all"
            at_each_point.points = number  # type: ignore[attr-defined]
            return broken
    raise AssertionError("the operation never ends")
