"""The program: its commands by name, how errors end it, ``schuss info``.

Wrong input and files end with one line on stderr and exit code 2, a training that diverges with 1, Ctrl-C with 130.
"""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator
from typing import Annotated

import typer

import schuss

from ..errors import DivergenceError

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False, no_args_is_help=True)


def main() -> None:
    """Entry point of the ``schuss`` command."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")  # a column's name may not exist in the terminal's encoding
    app(prog_name="schuss")


@contextlib.contextmanager
def told() -> Iterator[None]:
    """Errors that the user can mend become one line and an exit code."""
    try:
        yield
    except BrokenPipeError:
        raise  # whoever read stdout has enough; typer ends quietly
    except (ValueError, TypeError, OSError, MemoryError) as error:
        message, code = str(error), 2
    except DivergenceError as error:
        message, code = str(error), 1
    except KeyboardInterrupt:
        message, code = "interrupted", 130
    else:
        return
    typer.echo(f"schuss: {' '.join(message.split())}", err=True)
    raise typer.Exit(code)


def print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"schuss {schuss.__version__}")
        raise typer.Exit


@app.callback()
def options_of_all(
    version: Annotated[
        bool, typer.Option("--version", callback=print_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Train networks on tables, in compiled code."""


@app.command()
def info() -> None:
    """Print the configuration: version, instruction set, threads, compiler."""
    with told():
        schuss.show_config()
