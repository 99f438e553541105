"""Modules of torch as networks, and networks as modules: the same numbers to 1e-5, in prediction and in training."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose
from numpy.typing import NDArray

import schuss
from schuss import (
    AvgPool,
    BatchNorm,
    Conv1D,
    Conv2D,
    Dense,
    Flatten,
    GlobalAvgPool,
    GlobalMaxPool,
    Input,
    LayerNorm,
    MaxPool,
    PReLU,
)
from schuss.interchange import from_torch, to_torch

torch: Any = pytest.importorskip("torch")
nn = torch.nn
pytestmark = pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel:UserWarning")
Array = NDArray[Any]


def lenet(bias: bool = True) -> Any:
    return nn.Sequential(
        nn.Conv2d(1, 4, 5, padding=2, bias=bias),
        nn.BatchNorm2d(4),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Sequential(nn.Conv2d(4, 6, 3, stride=(1, 2), bias=bias), nn.Tanh(), nn.AvgPool2d(2, padding=1)),
        nn.Flatten(),
        nn.BatchNorm1d(6 * 2 * 2),
        nn.Dropout(0.3),
        nn.Linear(6 * 2 * 2, 9, bias=bias),
        nn.PReLU(9),
        nn.Linear(9, 3),
    )


def filled(module: Any) -> Any:
    """With statistics that are not those of the start."""
    with torch.no_grad():
        for name, array in [*module.named_parameters(), *module.named_buffers()]:
            if array.is_floating_point() and array.ndim == 1:
                array.uniform_(0.5, 2) if name.endswith("var") else array.normal_()
    return module.eval()


MODULES: dict[str, tuple[Callable[[], Any], tuple[int, ...]]] = {
    "lenet": (lenet, (1, 10, 12)),
    "without biases": (lambda: lenet(False), (1, 10, 12)),
    "series": (
        lambda: nn.Sequential(
            nn.Conv1d(3, 5, 3, padding="same", dilation=2),
            nn.SiLU(),
            nn.MaxPool1d(3, 2, 1),
            nn.Conv1d(5, 4, 2),
            nn.BatchNorm1d(4),
            nn.LeakyReLU(0.2),
            nn.Flatten(),
            nn.LayerNorm(16),
            nn.Linear(16, 2),
            nn.Softmax(1),
        ),
        (3, 10),
    ),
    "pooled to one place": (
        lambda: nn.Sequential(
            nn.Conv2d(2, 5, 3), nn.ELU(0.7), nn.AdaptiveAvgPool2d((1, 1)), nn.Flatten(), nn.Linear(5, 3), nn.GELU()
        ),
        (2, 6, 5),
    ),
    "largest of all": (
        lambda: nn.Sequential(nn.AdaptiveMaxPool1d(1), nn.Flatten(), nn.Linear(4, 3), nn.Hardswish()),
        (4, 7),
    ),
    "an even kernel": (
        lambda: nn.Sequential(nn.Conv2d(2, 3, (4, 2), padding="same"), nn.Flatten(), nn.Linear(90, 2)),
        (2, 6, 5),
    ),
    "dense": (
        lambda: nn.Sequential(nn.Linear(7, 5), nn.SELU(), nn.BatchNorm1d(5), nn.Linear(5, 4), nn.Softplus()),
        (7,),
    ),
    "one module": (lambda: nn.Linear(7, 5), (7,)),
}


def torch_data(shape: tuple[int, ...], rows: int = 6, dtype: str = "float32") -> Array:
    return np.random.default_rng(0).normal(size=(rows, *shape)).astype(dtype)


def of_torch(module: Any, x: Array) -> Array:
    return np.asarray(module(torch.tensor(x)).detach().numpy())


@pytest.mark.parametrize("name", list(MODULES))
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_there_and_back(name: str, dtype: str) -> None:
    torch.manual_seed(1)
    make, shape = MODULES[name]
    module = filled(make()).to(getattr(torch, dtype))
    net = from_torch(module, shape if len(shape) > 1 else None, seed=0)
    x = torch_data(shape, dtype=dtype)
    wanted = of_torch(module, x)
    tolerance = 1e-5 if dtype == "float32" else 1e-12
    assert net.dtype == dtype
    assert_allclose(net.predict(x), wanted, rtol=tolerance, atol=tolerance)
    again = to_torch(net)
    assert not again.training
    assert_allclose(of_torch(again, x), wanted, rtol=tolerance, atol=tolerance)
    back = from_torch(again, shape)
    assert_allclose(back.predict(x), wanted, rtol=tolerance, atol=tolerance)


def test_training_goes_the_same_way() -> None:
    """Ten steps of SGD, statistics of batches too."""
    torch.manual_seed(2)
    module = lenet().double()
    module[7].p = 0.0
    net = from_torch(module, (1, 10, 12))
    x, y = torch_data((1, 10, 12), 16, "float64"), np.arange(16) % 3
    ours, theirs = schuss.SGD(net.parameters, lr=0.05), torch.optim.SGD(module.parameters(), lr=0.05)
    module.train()
    for _ in range(10):
        loss = torch.nn.functional.cross_entropy(module(torch.tensor(x)), torch.tensor(y))
        theirs.zero_grad()
        loss.backward()
        theirs.step()
        found = net.train_step(x, y, "cross_entropy", ours)
        assert found == pytest.approx(loss.item(), rel=1e-9)
    assert_allclose(net.predict(x), of_torch(module.eval(), x), rtol=1e-8, atol=1e-8)
    state = to_torch(net)[1].running_var.numpy()
    assert_allclose(state, module[1].running_var.numpy(), rtol=1e-9)


@settings(max_examples=25, deadline=None, derandomize=True)
@given(
    rank=st.integers(1, 2),
    sizes=st.lists(st.integers(5, 9), min_size=2, max_size=2),
    channels=st.integers(1, 5),
    kernel=st.integers(1, 4),
    stride=st.integers(1, 3),
    padding=st.one_of(st.just("valid"), st.just("same"), st.tuples(st.integers(0, 3), st.integers(0, 3))),
    dilation=st.integers(1, 2),
    pool=st.sampled_from(["max", "avg", "counted"]),
)
def test_drawn_networks(
    rank: int, sizes: list[int], channels: int, kernel: int, stride: int, padding: Any, dilation: int, pool: str
) -> None:
    """Padding that torch has no argument for comes as a layer of its own."""
    given = padding if isinstance(padding, str) else (padding,) * rank
    windows = padding if isinstance(padding, str) else min(min(padding), 1)
    first = (Conv1D, Conv2D)[rank - 1](3, kernel, "relu", stride=stride, padding=given, dilation=dilation)
    second: Any = (
        MaxPool(2, 1, windows) if pool == "max" else AvgPool(2, 1, windows, count_include_pad=pool == "counted")
    )
    shape = (*sizes[:rank], channels)
    try:
        net = schuss.Network([Input("x", shape), first, second, Flatten(), BatchNorm(), Dense(2)], seed=0)
        module = to_torch(net)
    except ValueError as error:
        assert "at most" in str(error) or "padding must be the same on both sides" in str(error)  # noqa: PT017
        return
    x = torch_data(shape)
    assert_allclose(of_torch(module, np.moveaxis(x, -1, 1)), net.predict(x), rtol=1e-5, atol=1e-5)


def test_layers_of_ours() -> None:
    net = schuss.Network(
        [
            Input("x", (6, 5, 2)),
            Conv2D(4, 3, "elu", alpha=0.4, dropout=0.3, padding=((2, 0), (0, 1))),
            PReLU(),
            MaxPool((3, 2), 2, ((2, 0), 1)),
            GlobalMaxPool(),
            LayerNorm(),
            Dense(3, "leaky_relu", parametrization="ntp"),
        ],
        seed=1,
        dtype="float64",
    )
    module = to_torch(net)
    assert any(isinstance(each, nn.Dropout) and each.p == 0.3 for each in module)
    x = np.random.default_rng(0).normal(size=(4, 6, 5, 2))
    assert_allclose(of_torch(module, np.moveaxis(x, -1, 1)), net.predict(x), atol=1e-12)


@pytest.mark.parametrize(
    ("module", "shape", "error", "message"),
    [
        (nn.Sequential(nn.Conv2d(4, 4, 3, groups=2)), (4, 5, 5), ValueError, r"module.0.groups must be 1 .* got 2"),
        (nn.Conv2d(1, 1, 3, padding_mode="reflect", padding=1), (1, 5, 5), ValueError, "padding_mode must be 'zeros'"),
        (nn.MaxPool2d(2, ceil_mode=True), (1, 5, 5), ValueError, "ceil_mode must be False"),
        (nn.MaxPool2d(2, dilation=2), (1, 5, 5), ValueError, "dilation must be 1"),
        (nn.AvgPool1d(2), (1, 1), ValueError, "module.kernel_size must be at most 1"),
        (nn.AdaptiveAvgPool2d(2), (1, 5, 5), ValueError, "output_size must be 1"),
        (nn.BatchNorm2d(2, track_running_stats=False), (2, 5, 5), ValueError, "track_running_stats must be True"),
        (nn.GELU(approximate="tanh"), (3,), ValueError, "approximate must be 'none'"),
        (
            nn.Sequential(nn.Sequential(nn.Linear(3, 3), nn.RReLU())),
            None,
            TypeError,
            "module.0.1 must be one of .* got RReLU",
        ),
        (nn.Flatten(), (2, 3, 3), ValueError, "must have a Linear behind its Flatten"),
        (nn.Linear(3, 2), (4, 3), ValueError, "module, Linear, must come behind a Flatten"),
        (nn.Sequential(nn.Flatten(), nn.Linear(17, 2)), (2, 3, 3), ValueError, "in_features must be 18; got 17"),
        (
            nn.Sequential(nn.ZeroPad2d(1), nn.MaxPool2d(3)),
            (1, 5, 5),
            ValueError,
            r"module.0.value must be -inf .*; got 0",
        ),
        (
            nn.Sequential(nn.ZeroPad2d(1), nn.Flatten()),
            (1, 5, 5),
            ValueError,
            r"module.0 must come before a convolution",
        ),
        (nn.ZeroPad2d(1), (1, 5, 5), ValueError, r"module must come before a convolution or a MaxPool"),
        (nn.Conv2d(1, 1, 3), None, ValueError, "input_shape must be given"),
        (nn.Sequential(), None, ValueError, "input_shape must be given"),
        (nn.Conv2d(2, 1, 3), (1, 5, 5), ValueError, "must have shape"),
        ("net", None, TypeError, "module must be a module of torch.nn"),
    ],
)
def test_what_there_is_not_here(module: Any, shape: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        from_torch(module, shape)


def test_a_class_of_ones_own() -> None:
    class Mine(nn.Module):  # type: ignore[misc]
        pass

    with pytest.raises(TypeError, match=r"module.0 must be a module of torch.nn, or a Sequential"):
        from_torch(nn.Sequential(Mine()), (3,))


@pytest.mark.parametrize(
    ("layers", "message"),
    [
        ([schuss.Residual([Dense(3, 3)])], r"network.layers\[0\] must be one layer; got Residual"),
        ([Dense(3, 3), schuss.Scale()], r"network.layers\[1\] must have a module in torch; got Scale"),
        ([Input("x", (4, 3)), Dense(2), GlobalAvgPool()], r"network.layers\[1\], Dense, must come behind a Flatten"),
        ([Input("x", (4, 3)), Flatten()], "must have a Dense behind its Flatten"),
        ([Dense(3, 3, "exp")], "activation must be one of"),
        ([AvgPool(3, 1, ((1, 0),), input_shape=(4, 1)), Flatten(), Dense(1)], "padding must be the same on both sides"),
    ],
)
def test_what_there_is_not_in_torch(layers: Any, message: str) -> None:
    with pytest.raises((TypeError, ValueError), match=message):
        to_torch(schuss.Network(layers))


def test_only_a_network() -> None:
    with pytest.raises(TypeError, match="network must be a Network; got Linear"):
        to_torch(nn.Linear(2, 2))
