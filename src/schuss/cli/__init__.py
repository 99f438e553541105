"""The command line: ``schuss train``, ``schuss predict``, ``schuss compare``, ``schuss info``."""

from __future__ import annotations

try:
    import rich  # noqa: F401
    import typer  # noqa: F401
except ModuleNotFoundError as error:
    if error.name not in ("typer", "rich"):
        raise
    raise SystemExit(f"schuss: the command line needs {error.name}: pip install 'schuss[cli]'") from None

from . import compare, predict, train  # noqa: F401  (their commands join the program)
from .app import app, main

__all__ = ["app", "main"]
