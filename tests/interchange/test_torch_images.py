"""Modules of torch for images as networks, and back: the same numbers to 1e-5, in prediction and in training."""

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
)

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
        nn.LeakyReLU(),
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
    net = schuss.from_torch(module, shape, seed=0)
    x = torch_data(shape, dtype=dtype)
    wanted = of_torch(module, x)
    tolerance = 1e-5 if dtype == "float32" else 1e-12
    assert net.dtype == dtype
    assert_allclose(net.predict(x), wanted, rtol=tolerance, atol=tolerance)
    again = schuss.to_torch(net).eval()
    assert_allclose(of_torch(again, x), wanted, rtol=tolerance, atol=tolerance)
    fresh = schuss.to_torch(net, filled(make().to(getattr(torch, dtype))))
    assert_allclose(of_torch(fresh, x), wanted, rtol=tolerance, atol=tolerance)
    back = schuss.from_torch(again, shape)
    assert_allclose(back.predict(x), wanted, rtol=tolerance, atol=tolerance)


def test_training_goes_the_same_way() -> None:
    """Ten steps of SGD, statistics of batches too."""
    torch.manual_seed(2)
    module = lenet().double()
    module[7].p = 0.0
    net = schuss.from_torch(module, (1, 10, 12))
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
    state = schuss.to_torch(net)[1].running_var.numpy()
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
        module = schuss.to_torch(net).eval()
    except ValueError as error:
        assert "at most" in str(error) or "padding must be the same on both sides" in str(error), error  # noqa: PT017
        return
    x = torch_data(shape)
    assert_allclose(of_torch(module, np.moveaxis(x, -1, 1)), net.predict(x), rtol=1e-5, atol=1e-5)


def test_layers_of_ours() -> None:
    net = schuss.Network(
        [
            Input("x", (6, 5, 2)),
            Conv2D(4, 3, "elu", alpha=0.4, dropout=0.3, padding=((2, 0), (0, 1))),
            MaxPool((3, 2), 2, ((2, 0), 1)),
            GlobalMaxPool(),
            LayerNorm(),
            Dense(3, "leaky_relu"),
        ],
        seed=1,
        dtype="float64",
    )
    module = schuss.to_torch(net).eval()
    assert any(isinstance(each, nn.Dropout) and each.p == 0.3 for each in module)
    x = np.random.default_rng(0).normal(size=(4, 6, 5, 2))
    assert_allclose(of_torch(module, np.moveaxis(x, -1, 1)), net.predict(x), atol=1e-12)


@pytest.mark.parametrize(
    ("module", "shape", "message"),
    [
        (nn.Sequential(nn.Conv2d(4, 4, 3, groups=2)), (4, 5, 5), r"module.0 must have groups=1; got 2"),
        (nn.Conv2d(1, 1, 3, padding_mode="reflect", padding=1), (1, 5, 5), "must have padding_mode='zeros'"),
        (nn.MaxPool2d(2, ceil_mode=True), (1, 5, 5), "must have ceil_mode=False"),
        (nn.MaxPool2d(2, dilation=2), (1, 5, 5), "must have dilation=1"),
        (nn.AvgPool2d(2, divisor_override=3), (1, 5, 5), "must have divisor_override=None"),
        (nn.AvgPool1d(2), (1, 1), "kernel must be at most 1"),
        (nn.AdaptiveAvgPool2d(2), (1, 5, 5), "must have output_size=1"),
        (nn.BatchNorm2d(2, track_running_stats=False), (2, 5, 5), "must have track_running_stats=True"),
        (nn.Flatten(), (2, 3, 3), "module must be a Linear behind Flatten"),
        (nn.Sequential(nn.Conv2d(4, 3, 1), nn.Linear(3, 2)), (4, 3, 3), r"module.1 must come behind a Flatten"),
        (nn.Sequential(nn.Flatten(), nn.Linear(17, 2)), (2, 3, 3), "must have in_features=18; got 17"),
        (
            nn.Sequential(nn.ZeroPad2d(1), nn.MaxPool2d(3)),
            (1, 5, 5),
            r"module.0 must have value=-inf before module.1; got 0",
        ),
        (
            nn.Sequential(nn.ZeroPad2d(1), nn.Conv2d(1, 1, 3, padding=1)),
            (1, 5, 5),
            "must come before a layer that does not",
        ),
        (nn.Sequential(nn.ZeroPad2d(1), nn.Flatten()), (1, 5, 5), r"module.0 must come before a convolution"),
        (nn.Sequential(nn.Flatten(), nn.Linear(25, 2), nn.ZeroPad2d(1)), (1, 5, 5), "must come before a convolution"),
        (nn.Conv2d(1, 1, 3), None, r"input_shape must be \(channels, height, width\) or"),
        (nn.Conv2d(2, 1, 3), (1, 5, 5), "must have weight of shape"),
    ],
)
def test_what_there_is_not_here(module: Any, shape: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        schuss.from_torch(module, shape)


def test_modules_of_ones_own_are_asked() -> None:
    class Mine(nn.Module):  # type: ignore[misc]
        def __init__(self, between: Any) -> None:
            super().__init__()
            self.first, self.last, self.between = nn.Conv2d(2, 3, 3), nn.Linear(27, 2), between
            self.flat = nn.Flatten()

        def forward(self, x: Any) -> Any:
            return self.last(self.flat(self.between(self.first(x))))

    module = Mine(torch.relu)
    x = torch_data((2, 5, 5))
    layers = [module.first, nn.ReLU(), module.flat, module.last]
    assert_allclose(schuss.from_torch(layers, (2, 5, 5)).predict(x), of_torch(module, x), atol=1e-5)
    with pytest.raises(ValueError, match=r"module.last must come behind a Flatten"):  # as they come in the module
        schuss.from_torch(module, (2, 5, 5))
    with pytest.raises(ValueError, match="what comes out must be that of the layers one after the other"):
        schuss.from_torch(nn.Sequential(Conv(nn.ReLU())), (2, 5, 5))


class Conv(nn.Module):  # type: ignore[misc]
    """A convolution and something that no module says."""

    def __init__(self, behind: Any) -> None:
        super().__init__()
        self.layer, self.behind = nn.Conv2d(2, 3, 3), behind

    def forward(self, x: Any) -> Any:
        return 2 * self.behind(self.layer(x))


@pytest.mark.parametrize(
    ("layers", "message"),
    [
        ([Conv2D(2, 3, input_shape=(5, 5, 1)), schuss.Scale()], r"network.layers\[1\] must be one of .*; got Scale"),
        ([Input("x", (4, 3)), Dense(2), GlobalAvgPool()], "must come behind a Flatten"),
        ([Input("x", (4, 3)), Flatten()], "must be a Linear behind Flatten"),
        ([AvgPool(3, 1, ((1, 0),), input_shape=(4, 1)), Flatten(), Dense(1)], "padding must be the same on both sides"),
    ],
)
def test_what_there_is_not_in_torch(layers: Any, message: str) -> None:
    with pytest.raises((TypeError, ValueError), match=message):
        schuss.to_torch(schuss.Network(layers))
