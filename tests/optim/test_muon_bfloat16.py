"""Muon with products of bfloat16: to the last bit, on every instruction set, whether or not it has such products."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import schuss
from tests.reference import arrays

Array = NDArray[Any]
Shape = tuple[int, int]
EachIsa = Callable[[], Iterator[str]]
SetThreads = Callable[[int], None]

# Around panels of 32 columns and 16 rows, odd and even lengths, and more than one block of columns.
SHAPES: list[Shape] = [
    (1, 1),
    (1, 40),
    (41, 1),
    (2, 3),
    (31, 7),
    (7, 33),
    (32, 32),
    (33, 64),
    (65, 33),
    (129, 70),
    (40, 131),
]
# A team shares each of these.
LARGE: list[Shape] = [(300, 151), (140, 291), (259, 259), (37, 1001)]


def stepped(shape: Shape, dtype: str, grads: list[Array], products: str | None = "bfloat16", **options: Any) -> Array:
    p = np.zeros(shape, dtype)
    optimizer = schuss.Muon([p], products=products, **options)
    for g in grads:
        optimizer.step([g])
    return p


def normal(shape: Shape, dtype: str, count: int = 3) -> list[Array]:
    rng = np.random.default_rng(3)
    return [rng.normal(size=shape).astype(dtype) for _ in range(count)]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("coefficients", [(3.4445, -4.7750, 2.0315), (1.5, -0.5, 0.0)])
def test_a_step_has_the_bits_of_the_twin(coefficients: tuple[float, float, float], dtype: str, isa: str) -> None:
    """Without momentum, of whole numbers, whose squares sum to the same in any order."""
    options = {"lr": 1.0, "weight_decay": 0.0, "momentum": 0.0, "ns_coefficients": coefficients}
    for shape in SHAPES:
        g = np.random.default_rng(1).integers(-99, 100, shape).astype(dtype)
        g.flat[0] = 50
        wanted = np.zeros(shape, dtype)
        group = {**arrays.DEFAULTS["muon"], **options, "products": "bfloat16"}
        arrays.muon(wanted, g, [np.zeros(shape, dtype)], group, 1)
        got = stepped(shape, dtype, [g], **options)
        np.testing.assert_array_equal(got, wanted, err_msg=str(shape))
        assert not np.array_equal(got, stepped(shape, dtype, [g], None, **options)) or g.size == 1


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_bits_do_not_depend_on_threads_nor_instruction_sets(
    dtype: str, each_isa: EachIsa, set_threads: SetThreads
) -> None:
    """Not even on the baseline: a product of two bfloat16 is exact, so it needs no fused multiply-add."""
    for shape in (*SHAPES, *LARGE):
        grads, found = normal(shape, dtype), []
        for _ in each_isa():
            for threads in (1, 2, 3):
                set_threads(threads)
                found.append(stepped(shape, dtype, grads))
        for p in found[1:]:
            np.testing.assert_array_equal(p.view(np.uint8), found[0].view(np.uint8), err_msg=str(shape))


@pytest.mark.parametrize(
    "options",
    [
        {"eps": 1e21},
        {"eps": 3e12},
        {"ns_coefficients": (1e19, 1e19, 1e18)},
        {"ns_coefficients": (-1e-30, 1e-25, 1e-20)},
    ],
    ids=str,
)
def test_hard_numbers_have_the_same_bits(options: dict[str, Any], each_fma_isa: EachIsa) -> None:
    """Denormals in the factors, in the products and in the sums, and what is infinite or no number."""
    shape, found = (70, 45), []
    rng = np.random.default_rng(4)
    g = (rng.normal(size=shape) * 2.0 ** rng.integers(-40, 20, shape)).astype("float32")
    for _ in each_fma_isa():
        found.append(stepped(shape, "float32", [g, g], ns_steps=3, lr=1.0, **options))
    for p in found[1:]:
        np.testing.assert_array_equal(p, found[0])  # NaN are equal, whatever their payload


def test_follows_torch() -> None:
    """Torch rounds the sums too."""
    torch: Any = pytest.importorskip("torch")
    for shape in [(70, 64), (31, 90), (200, 300)]:
        start, grads = normal(shape, "float32", 1)[0], normal(shape, "float32", 20)
        params, theirs = [start.copy()], torch.tensor(start, requires_grad=True)
        opt, torch_opt = schuss.Muon(params, products="bfloat16", lr=0.02), torch.optim.Muon([theirs], lr=0.02)
        for g in grads:
            opt.step([g])
            theirs.grad = torch.tensor(g)
            torch_opt.step()
        change = np.abs(params[0] - start).max()
        assert np.abs(params[0] - theirs.detach().numpy()).max() <= 0.03 * change


def test_singular_values_are_nearly_one() -> None:
    p = stepped((120, 200), "float32", normal((120, 200), "float32", 1), lr=1.0, weight_decay=0.0)
    values = np.linalg.svd(p, compute_uv=False)
    assert values.min() > 0.6 and values.max() < 1.3


def test_is_an_entry_of_groups_where_it_is_not_none() -> None:
    params = [np.ones((9, 5), np.float32), np.ones((5, 9), np.float32)]
    optimizer = schuss.Muon([{"params": params[:1], "products": "bfloat16"}, {"params": params[1:]}])
    assert optimizer.param_groups[0]["products"] == "bfloat16"
    assert "products" not in optimizer.param_groups[1]
    assert "products" not in schuss.Muon([np.ones((2, 2))], products=None).param_groups[0]


def test_what_is_written_into_a_group_counts_from_the_next_step() -> None:
    """Rooms for the products are others then."""
    grads = normal((259, 130), "float32", 4)
    p, q = np.zeros((259, 130), np.float32), np.zeros((259, 130), np.float32)
    written, steady = schuss.Muon([p]), schuss.Muon([q], products="bfloat16")
    for t, g in enumerate(grads):
        if t:
            written.param_groups[0]["products"] = "bfloat16"
        written.step([g])
        steady.step([g])
        if not t:
            assert not np.array_equal(p, q)
            p[...] = q
    np.testing.assert_array_equal(p, q)
    written.param_groups[0]["products"] = "float16"
    with pytest.raises(ValueError, match="products"):
        written.step([grads[0]])


def test_states_and_copies_keep_it() -> None:
    grads = normal((20, 30), "float32", 2)
    p = np.zeros((20, 30), np.float32)
    first = schuss.Muon([p], products="bfloat16")
    first.step([grads[0]])
    second_p = p.copy()
    second = schuss.Muon([second_p])
    second.load_state_dict(first.state_dict())
    assert second.param_groups[0]["products"] == "bfloat16"
    third = copy.deepcopy(first)
    for optimizer in (first, second, third):
        optimizer.step([grads[1]])
    np.testing.assert_array_equal(p, second_p)
    assert third.param_groups[0]["products"] == "bfloat16"


def test_files_keep_it_and_name_it_where_it_is_set(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(40, 6)).astype(np.float32), rng.integers(0, 3, 40)
    for products in (None, "bfloat16"):
        net = schuss.Network([schuss.Dense(6, 8, "relu"), schuss.Dense(8, 3)], seed=1)
        optimizer = schuss.Muon(net.parameters, adamw={}, products=products)
        net.fit(X, y, loss="cross_entropy", optimizer=optimizer, epochs=2, batch_size=10)
        net.save(tmp_path / "net.npz")
        again = schuss.load(tmp_path / "net.npz")
        assert again.optimizer is not None
        assert again.optimizer.param_groups[0].get("products") == products


def test_torch_optimizer_has_it() -> None:
    torch: Any = pytest.importorskip("torch")
    import schuss.torch

    start, g = normal((33, 20), "float32", 2)
    p, q = start.copy(), torch.nn.Parameter(torch.tensor(start))
    q.grad = torch.tensor(g)
    schuss.Muon([p], products="bfloat16").step([g])
    schuss.torch.Muon([q], products="bfloat16").step()
    np.testing.assert_array_equal(p, q.detach().numpy())
