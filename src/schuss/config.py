"""What the compiled core is and what it chose on this machine."""

from __future__ import annotations

from typing import Any

from . import _core
from .arguments import choice


def show_config(mode: str = "stdout") -> dict[str, Any] | None:
    """Print the configuration, or return it.

    Parameters
    ----------
    mode : {"stdout", "dicts"}
        "stdout" prints; "dicts" returns a dict and prints nothing.

    Returns
    -------
    dict or None
        version, isa (the instruction set in use), isa_available, vector_bits, threads, cpu_quota, workers (threads
        alive now), compiler.

    Raises
    ------
    RuntimeError
        If ``SCHUSS_ISA`` names an instruction set that is unknown or that this CPU lacks.
    """
    choice("mode", mode, ("stdout", "dicts"))
    found: dict[str, Any] = {"version": _core.__version__, **_core.config()}
    if mode == "dicts":
        return found
    width = max(map(len, found))
    for name, value in found.items():
        print(f"{name:<{width}}  {', '.join(map(str, value)) if isinstance(value, (list, tuple)) else value}")
    return None
