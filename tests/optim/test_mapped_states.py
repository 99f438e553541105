"""States in files that are mapped into memory."""

from __future__ import annotations

import copy
import mmap
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_array_equal

import schuss

SHAPES = [(300, 70), (5,), (0,), ()]


def trained(directory: Path | None, **how: Any) -> tuple[list[Any], schuss.Optimizer, schuss.EMA]:
    rng = np.random.default_rng(0)
    params = [rng.normal(size=shape).astype(np.float32) for shape in SHAPES]
    opt = schuss.AdamW(params)
    opt.set_precision(**how, directory=directory)
    ema = schuss.EMA(opt)
    for _ in range(4):
        ema.step([rng.normal(size=shape).astype(np.float32) for shape in SHAPES])
    return params, opt, ema


def is_mapped(array: Any) -> bool:
    while isinstance(array, np.ndarray) and array.base is not None:
        array = array.base
    return isinstance(array, mmap.mmap)


@pytest.mark.parametrize("states", ["float32", "bfloat16", "8bit"])
def test_bits_are_those_of_states_in_memory(states: str, tmp_path: Path) -> None:
    """States and averages are maps of files without a name."""
    (mine, opt, ema), (theirs, other, plain) = trained(tmp_path, states=states), trained(None, states=states)
    for a, b in zip([*mine, *ema.averages], [*theirs, *plain.averages], strict=True):
        assert_array_equal(a, b)
    assert all(is_mapped(array) for array in opt._states()[0].values()) and is_mapped(ema.averages[0])
    assert not any(is_mapped(array) for array in other._states()[0].values())
    assert list(tmp_path.iterdir()) == []


def test_copies_and_pickles_have_maps_of_their_own(tmp_path: Path) -> None:
    _, opt, _ = trained(tmp_path)
    for again in (copy.deepcopy(opt), pickle.loads(pickle.dumps(opt))):
        state = again._states()[0]["exp_avg"]
        assert is_mapped(state) and not np.shares_memory(state, opt._states()[0]["exp_avg"])
        assert_array_equal(state, opt._states()[0]["exp_avg"])


def test_parameters_may_be_maps_too(tmp_path: Path) -> None:
    p = np.memmap(tmp_path / "p", np.float32, "w+", shape=(4000,))
    p[:] = 1
    opt = schuss.AdamW([p], lr=0.5)
    opt.set_precision(directory=tmp_path)
    opt.step([np.ones(4000, np.float32)])
    assert (np.fromfile(tmp_path / "p", np.float32) < 0.51).all()


def test_a_folder_has_to_be_there(tmp_path: Path) -> None:
    opt = schuss.AdamW([np.ones(3)])
    with pytest.raises(ValueError, match=r"directory must be None or a folder that is there; got '.*nowhere'"):
        opt.set_precision(directory=tmp_path / "nowhere")
    opt.set_precision(directory=tmp_path)  # of float64, too
    assert opt._precision.directory == str(tmp_path)
