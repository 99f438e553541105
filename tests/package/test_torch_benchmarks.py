"""What the benchmarks of torch's optimizers count, and that all of them make the same steps."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks import offload, optimizers, precisions, streams, tensor_steps, torch_step, torchao_card
from benchmarks.precisions import Precision

ADAMW = next(one for one in optimizers.ALL if one.name == "AdamW")
HELD = {
    "float32": 12,
    "bf16": 10,
    "bf16, master float32": 14,
    "bf16, split": 12,
    "bf16, split, moments bf16": 8,
    "bf16, split, moments 8 bit": 6 + 2 / 64,
}


def test_bytes_of_precisions() -> None:
    held = {one.name: one.held for one in precisions.ALL}
    assert {name: held[name] for name in HELD} == HELD
    assert precisions.FLOAT32.moved == streams.moved(ADAMW.passes, 1) == 28
    # The parameters are not read, where a master is.
    assert precisions.MASTER.moved == 28
    assert precisions.BFLOAT16.moved == 22
    assert precisions.EIGHT.moved == pytest.approx(16, abs=0.1)


def test_stored_numbers_are_widened_exactly() -> None:
    problem = tensor_steps.arrays_of(ADAMW, [1000, 1])
    given = tensor_steps.tensors(problem, precisions.BFLOAT16)
    for array, wide in zip((*given.fresh(), *given.gradients), (*problem.parameters, *problem.gradients), strict=True):
        assert array.dtype == np.uint16
        np.testing.assert_array_equal(tensor_steps.widened(array), wide)


def test_sizes_of_the_transformer() -> None:
    sizes = offload.sizes(offload.LAYERS, offload.VOCABULARY)
    assert 29e6 < sum(sizes) < 30e6
    assert len(sizes) == 2 + 12 * offload.LAYERS + 2


def test_all_make_the_same_steps() -> None:
    """Those who have float32, over several arrays, and the same with an optimizer for each."""
    problem = tensor_steps.arrays_of(ADAMW, [100, 3, 5000])
    given = tensor_steps.tensors(problem, bare=True)
    # Peers that compile themselves when they are made have no place in a test.
    makers = [one for one in (*torch_step.OURS, *torch_step.OTHERS) if one is not tensor_steps.deepspeed]
    for some in (makers, [tensor_steps.one_each(make) for make in makers]):
        found = tensor_steps.built(some, given, 5)
        assert "ours: arrays" in [one.name for one in found]
        first = found[0].parameters().copy()
        assert np.abs(first - problem.parameters[0]).min() > 1e-3
        for one in found[1:]:
            np.testing.assert_allclose(one.parameters(), first, rtol=0, atol=1e-6)


def test_steps_on_arrival_are_those_of_one_optimizer() -> None:
    problem = tensor_steps.arrays_of(ADAMW, [100, 3, 5000])
    given = tensor_steps.tensors(problem)
    arrivals = offload._Arrivals([g.copy() for g in given.gradients], given.gradients)
    try:
        offloaded = offload._on_arrival(tensor_steps.ours_arrays, given, arrivals)
        assert offloaded is not None
        for gradient in given.gradients:
            gradient[...] = 0
        offloaded.run(3)
    finally:
        arrivals.end()
    whole = tensor_steps.ours_arrays(given)
    whole.run(3)
    np.testing.assert_array_equal(offloaded.parameters(), whole.parameters())


def test_the_card_that_is_none() -> None:
    home, torch = torchao_card.offloading(), pytest.importorskip("torch")
    if home is None:
        pytest.skip("torchao is not installed")
    parameter, gradient = torch.nn.Parameter(torch.ones(10)), torch.ones(10)
    optimizer = home.CPUOffloadOptimizer([parameter], torch.optim.SGD, minimal_size=0, lr=0.5)
    torch.autograd.backward([parameter], [gradient])
    optimizer.step()
    assert parameter.tolist() == [0.5] * 10


def test_no_precision_comes_twice() -> None:
    names = [one.name for one in precisions.ALL]
    assert len(names) == len(set(names))
    kinds = {(one.stored, one.states, one.master) for one in precisions.ALL}
    assert len(kinds) == len(names)
    assert not [one for one in precisions.ALL if one.plain and one != Precision("float32", "float32")]
