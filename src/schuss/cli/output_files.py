"""Where the command line writes: names by default, and everything that would keep a file from being written.

A file that is there already is replaced only if it is such a file of ours.
"""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from ..files.networks import read
from ..tables import DataError

MODEL_ENDINGS = (".safetensors", ".npz")
# The entry of a picture's metadata that names the program; a file that has it is ours.
PLOT_ENDINGS = {".png": "Software", ".pdf": "Creator", ".svg": "Creator"}
PROGRAM = "schuss"
# What a page and the numbers of a comparison begin with, if they are ours.
MARK_OF_PAGE, MARK_OF_NUMBERS = b'content="schuss', b'"schuss comparison"'
MARKED_WITHIN = 1000


def of_training(
    name: str, save: Path | None, no_save: bool, plot: Path | None, no_plot: bool
) -> tuple[Path | None, Path | None]:
    """Where model and plot go, None for not at all; everything that would keep them from being written is told now."""
    for option, path, excluded in (("save", save, no_save), ("plot", plot, no_plot)):
        if path is not None and excluded:
            raise DataError(f"--{option} {path}: cannot be together with --no-{option}")
    model_path, plot_path = save, plot
    if no_save:
        model_path = None
    elif save is None:
        model_path = Path(name + MODEL_ENDINGS[importlib.util.find_spec("safetensors") is None])
    if no_plot:
        plot_path = None
    elif plot is None:
        plot_path = Path(name + ".png")
    if plot_path and importlib.util.find_spec("matplotlib") is None:
        raise DataError("the plot needs matplotlib: pip install matplotlib, or use --no-plot")
    if model_path:
        check(model_path, "--save", MODEL_ENDINGS)
        if model_path.suffix.lower() == ".safetensors" and importlib.util.find_spec("safetensors") is None:
            raise DataError(f"{model_path}: needs safetensors: pip install safetensors, or use a name in .npz")
        if model_path.exists():
            try:
                read(model_path)
            except ValueError:
                raise not_ours(model_path, "--save") from None
    if plot_path:
        check(plot_path, "--plot", PLOT_ENDINGS)
        if plot_path.exists() and PROGRAM.encode() not in plot_path.read_bytes():
            raise not_ours(plot_path, "--plot")
    return model_path, plot_path


def of_comparison(
    name: str, html: Path | None, no_html: bool, json: Path | None, plot: Path | None
) -> tuple[Path | None, Path | None, Path | None]:
    """Where page, numbers and plot go, None for not at all; what would keep them from being written is told now."""
    if html is not None and no_html:
        raise DataError(f"--html {html}: cannot be together with --no-html")
    page = None if no_html else Path(f"{name}-compared.html") if html is None else html
    if (page or plot) and importlib.util.find_spec("matplotlib") is None:
        instead = "use --no-html" if plot is None else "leave out --plot"
        raise DataError(f"the report and the plot need matplotlib: pip install matplotlib, or {instead}")
    for path, option, endings, mark in (
        (page, "--html", (".html", ".htm"), MARK_OF_PAGE),
        (json, "--json", (".json",), MARK_OF_NUMBERS),
        (plot, "--plot", PLOT_ENDINGS, None),
    ):
        if path is None:
            continue
        check(path, option, endings)
        if path.exists():
            content = path.read_bytes()
            if (PROGRAM.encode() not in content) if mark is None else (mark not in content[:MARKED_WITHIN]):
                raise not_ours(path, option)
    return page, json, plot


def check(path: Path, option: str, endings: Iterable[str]) -> None:
    """DataError if no file of that kind can be written there."""
    if path.suffix.lower() not in endings:
        raise DataError(f"{option} {path}: must end in {' or '.join(endings)}")
    if not path.parent.is_dir():
        raise DataError(f"{option} {path}: there is no folder {path.parent}")
    if path.is_dir():
        raise DataError(f"{option} {path}: is a folder")
    if not os.access(path.parent, os.W_OK) or (path.exists() and not os.access(path, os.W_OK)):
        raise DataError(f"{option} {path}: cannot be written: no permission")


def not_ours(path: Path, option: str) -> DataError:
    return DataError(f"{path} is there already and was not written by schuss; choose another name with {option}")


def save_figure(figure: Any, path: Path) -> None:
    """Write a matplotlib figure, marked as ours."""
    figure.savefig(path, dpi=150, metadata={PLOT_ENDINGS[path.suffix.lower()]: PROGRAM})
