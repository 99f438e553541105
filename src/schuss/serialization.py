"""Networks from files."""

from __future__ import annotations

import os

from .network import Network


def load(path: str | os.PathLike[str]) -> Network:
    """Read a network from a file written by `Network.save`.

    Parameters
    ----------
    path : str or path
        Ending in .npz or .safetensors.

    Returns
    -------
    Network
        With its optimizer (bound to its parameters), what stood around that (its ``wrapper``), history, counters and
        metadata.

    Raises
    ------
    ValueError
        If the file is damaged, truncated, of a newer version, or not of this kind.
    OSError
        If it cannot be read.
    ImportError
        If it is a .safetensors file and that package is not installed.

    Notes
    -----
    Files of strangers may be read: nothing in one is run, what it says is checked before it is used, and reading takes
    memory of a few times the file's size. Parameters and states of optimizers may be NaN or infinite, since a network
    with such ones can be saved.
    """
    from .files.networks import as_damage, read

    name, parts = read(path)
    if len(parts) > 1:
        raise ValueError(f"{name} holds {len(parts)} networks, of a table's model: schuss.load_table reads it")
    with as_damage(name):
        return Network._of_parts(parts[0])
