"""``schuss compare``: which optimizer, and at which rate, for one's own table."""

from __future__ import annotations

import re
import time
from ast import literal_eval
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from textwrap import wrap
from types import TracebackType
from typing import TYPE_CHECKING, Annotated, Any, final

import typer
from rich.markup import escape
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn

import schuss

from ..arguments import choice, integer, number
from ..tables import open_table
from . import output_files
from .app import app, told
from .options import DataArgument, TargetOption, TaskOption, hidden_sizes, loss_of
from .rows import as_named
from .terminal import REDRAWS_A_SECOND, out, say, show_cursor, show_table

if TYPE_CHECKING:
    from ..comparison import Comparison
    from ..losses import Loss

# What is short to write in a shell, beside the names and the labels of the defaults.
SHORT = {"momentum": "SGD + momentum"}
LOSSES = {"classification": "cross_entropy", "regression": "mse"}
# By which networks of one output each can be compared whose target is in any unit; with their tasks.
TASKS = {"cross_entropy": "classification", "mse": "regression", "mae": "regression", "huber": "regression"}


@app.command()
def compare(
    data: DataArgument,
    target: TargetOption = None,
    task: TaskOption = None,
    optimizers: Annotated[
        str | None,
        typer.Option(
            help="Names with commas between them; with arguments: adam,sgd:momentum=0.9:nesterov=True.",
            show_default="sgd,momentum,adagrad,rmsprop,adam,adamw,lion",
        ),
    ] = None,
    hidden: Annotated[
        str | None, typer.Option(help="Units of the network's hidden layers; 0 for none.", show_default="100")
    ] = None,
    loss: Annotated[
        str | None,
        typer.Option(help="cross_entropy; mse, mae or huber, such as huber=2.", show_default="cross_entropy or mse"),
    ] = None,
    epochs: Annotated[
        int | None, typer.Option(help="Of each training.", show_default="about 2000 steps, 8 to 200 epochs")
    ] = None,
    steps: Annotated[int | None, typer.Option(help="Of each training, in place of --epochs.")] = None,
    seconds: Annotated[
        float | None,
        typer.Option(
            "--time", help="Budget of seconds that one column tells of.", show_default="what the quickest one took"
        ),
    ] = None,
    batch_size: Annotated[int, typer.Option(help="Rows a step.")] = 32,
    validation: Annotated[float, typer.Option(help="Share of the rows that trainings are judged by.")] = 0.2,
    seeds: Annotated[int, typer.Option(help="Trainings of each rate.")] = 3,
    seed: Annotated[int, typer.Option(help="The first of them; decides which rows are held out.")] = 0,
    threads: Annotated[
        int | None, typer.Option(help="Same numbers for any, but for seconds.", show_default="all")
    ] = None,
    html: Annotated[
        Path | None, typer.Option(help="Report as a page (.html).", show_default="<data>-compared.html")
    ] = None,
    no_html: Annotated[bool, typer.Option("--no-html", help="Write no report.")] = False,
    json: Annotated[Path | None, typer.Option(help="All numbers (.json).", show_default="none is written")] = None,
    plot: Annotated[
        Path | None, typer.Option(help="All curves (.png, .pdf, .svg).", show_default="none is written")
    ] = None,
    no_others: Annotated[
        bool, typer.Option("--no-others", help="Fit no models of other kinds beside the networks.")
    ] = False,
) -> None:
    """Compare optimizers on a table, each at the rate that is best for it; write a report.

    All start from the same parameters and meet the same batches. The same command gives the same numbers, but for
    seconds.
    """
    with told():
        for option, count in {"--epochs": epochs, "--steps": steps, "--batch-size": batch_size}.items():
            if count is not None:
                integer(option, count, 1)
        if epochs is not None and steps is not None:
            raise ValueError("--epochs and --steps cannot be together: both say how long each training is")
        if seconds is not None:
            number("--time", seconds, "(0, inf)")
        if task is not None:
            choice("--task", task, LOSSES)
        number("--validation", validation, "[0, 1)")
        first = integer("--seed", seed, 0, 2**31 - 1)
        count = integer("--seeds", seeds, 1, 1000)
        if threads is not None:
            schuss.set_num_threads(integer("--threads", threads, 1))
        chosen = None if optimizers is None else optimizers_of(optimizers)
        widths = None if hidden is None else hidden_sizes(hidden)
        wanted = wanted_loss(loss, task)
        read = open_table(data)
        paths = output_files.of_comparison(read.name, html, no_html, json, plot)
        progress = ShareProgress()
        with progress:
            found = schuss.compare(
                read,
                target=as_named(target, read.names),
                network=widths,
                loss=wanted,
                optimizers=chosen,
                validation_fraction=validation,
                batch_size=batch_size,
                epochs=epochs,
                steps=steps,
                seconds=seconds,
                seeds=range(first, first + count),
                others=not no_others,
                progress=progress,
            )
        show_cursor()
        tell(found)
        page, numbers, picture = paths
        if page:
            found.report(page)
        if numbers:
            found.save(numbers)
        if picture:
            output_files.save_figure(found.plot(), picture)
        for path in filter(None, paths):
            say(f"wrote {path}")


def optimizers_of(text: str) -> list[Any]:
    """What --optimizers says.

    Raises
    ------
    ValueError
        If it is no list of names, each with arguments or none. Whether there are such is found out later.
    """
    found: list[Any] = []
    for part in re.split(r",(?![^(]*\))", text):  # commas but those within brackets
        name, *given = (piece.strip() for piece in part.split(":"))
        if not name:
            raise ValueError(f"--optimizers must be names with commas between them; got {text!r}")
        arguments = {}
        for argument in given:
            key, equals, value = (piece.strip() for piece in argument.partition("="))
            if not (equals and key.isidentifier()):
                raise ValueError(f"--optimizers takes arguments as sgd:momentum=0.9; got {part.strip()!r}")
            arguments[key] = value_of(value)
        name = SHORT.get(name.lower(), name)
        one: Any = (name, arguments) if arguments else name
        if one in found:
            raise ValueError(f"--optimizers has {part.strip()!r} twice")
        found.append(one)
    return found


def value_of(text: str) -> Any:
    """A number or a truth value as Python writes it, else text."""
    try:
        return literal_eval({"true": "True", "false": "False"}.get(text, text))
    except (ValueError, SyntaxError):
        return text


def wanted_loss(text: str | None, task: str | None) -> Loss | str | None:
    """What --loss and --task say of the loss. ValueError: it is not known, or for another task."""
    if text is None:
        return None if task is None else LOSSES[task]
    name = choice("--loss", text.partition("=")[0].strip(), TASKS)
    if task not in (None, TASKS[name]):
        raise ValueError(f"--loss {name} is for --task {TASKS[name]}; got --task {task}")
    return loss_of(text, name == "cross_entropy")


# ---- what is shown ------------------------------------------------------------------------------------------------


def tell(found: Comparison) -> None:
    """The tables, as wide as the terminal, and what is recommended."""
    from ..comparison import table  # here: other commands start without it
    from ..comparison.advice import beside_others, python_line

    for text in table.about(found):
        tell_wrapped(text)
    for note in found.notes:
        tell_wrapped(note, "dim", indent="  ")
    rows = [table.row(found, one) for one in found.contenders]
    for columns in blocks([headed(table.header(found)), *rows], out.width):
        say("")
        show_table(columns[0], columns[1:])
    if found.others:
        say("")
        show_table(table.header_of_others(found), [table.other(one) for one in found.others])
    say("")
    tell_wrapped(table.verdict(found), style="bold")
    besides, line = beside_others(found), python_line(found)
    if besides:
        tell_wrapped(besides)
    if line:
        tell_wrapped(line, indent="  ")  # within its brackets Python, too, goes on in another line


def tell_wrapped(text: str, style: str | None = None, indent: str = "") -> None:
    """A text that is broken between words where the terminal ends, and goes on further in."""
    for line in wrap(
        text,
        max(20, out.width),
        initial_indent=indent,
        subsequent_indent=2 * indent,
        break_long_words=False,
        break_on_hyphens=False,
    ):
        say(line, style=style)


def headed(header: Sequence[str]) -> list[str]:
    """What stands above columns in two lines, the upper one empty where one is enough."""
    parts = [name.partition(" in " if " in " in name else " ") for name in header]
    return [f"{first}{between.rstrip()}\n{second}" if second else f"\n{first}" for first, between, second in parts]


def blocks(rows: Sequence[Sequence[str]], width: int, between: int = 2) -> Iterator[list[list[str]]]:
    """A table as several below each other, none wider than that where it can be, each with the first column."""
    widths = [max(len(line) for cell in column for line in cell.split("\n")) for column in zip(*rows, strict=True)]
    places = list(range(1, len(widths)))
    while places:
        taken, room = 0, width - widths[0]
        while taken < len(places) and (not taken or room >= widths[places[taken]] + between):
            room -= widths[places[taken]] + between
            taken += 1
        yield [[row[0], *(row[k] for k in places[:taken])] for row in rows]
        places = places[taken:]


@final
class ShareProgress(AbstractContextManager["ShareProgress"]):
    """Shows what is being done and how much of all that is: as a bar on a terminal, else by a line for each thing."""

    def __init__(self) -> None:
        self._told, self._drawn = "", 0.0
        self._bar: Progress | None = None
        if out.is_terminal:
            self._bar = Progress(
                BarColumn(bar_width=_bar_width()),
                TaskProgressColumn(),
                TimeElapsedColumn(),
                TextColumn("{task.description}"),
                console=out,
                refresh_per_second=REDRAWS_A_SECOND,
                transient=True,
            )
            self._task = self._bar.add_task("", total=1.0)

    def __enter__(self) -> ShareProgress:
        if self._bar:
            self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar:
            self._bar.stop()

    def __call__(self, text: str, share: float) -> None:
        if self._bar is None:
            if text != self._told and share < 1:
                self._told = text
                say(f"{share:4.0%}  {text}", style="dim")
            return
        now = time.monotonic()
        if now - self._drawn > 1 / REDRAWS_A_SECOND or share >= 1:
            self._drawn = now
            room = max(8, out.width - 24 - _bar_width())
            shown = text if len(text) <= room else f"{text[: room - 3]}..."
            self._bar.update(self._task, completed=share, description=escape(shown))


def _bar_width() -> int:
    """In this terminal, as wide as it is now."""
    return min(24, max(4, out.width - 40))
