"""Elementary functions: their error in ulp, their special values, and the same bits on every instruction set."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from functools import lru_cache
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from numpy.typing import NDArray

from schuss import _core
from tests.reference import activations, turns
from tests.reference.network import nodes_of

Array = NDArray[Any]
FUNCTIONS = ("exp", "log", "tanh", "erfc", "expm1", "log1p", "cos2pi", "sin2pi")
dtypes = pytest.mark.parametrize("dtype", ["float32", "float64"])

# The largest error in ulp, a little above what was measured. For erfc it may grow with 1 + x^2, as exp(-x^2) does.
LARGEST_ERROR = {
    "float32": {
        "exp": 1.2,
        "log": 2.0,
        "tanh": 2.6,
        "erfc": 6.0,
        "expm1": 1.2,
        "log1p": 2.0,
        "cos2pi": 1.8,
        "sin2pi": 1.8,
    },
    "float64": {
        "exp": 1.2,
        "log": 2.0,
        "tanh": 2.6,
        "erfc": 4.0,
        "expm1": 1.2,
        "log1p": 2.0,
        "cos2pi": 1.8,
        "sin2pi": 1.8,
    },
}


def exact_function(name: str, module: Any) -> Callable[[Any], Any]:
    """The function by `math` or `mpmath`; of quarters of turns nothing is left, exactly."""

    def of_turns(x: float) -> Any:
        rest = x - round(x)
        quarter = round(4 * rest)
        angle = 2 * module.pi * (rest - quarter / 4)
        sine, cosine = module.sin(angle), module.cos(angle)
        return (cosine, -sine, -cosine, sine)[(quarter - (name == "sin2pi")) % 4]

    return of_turns if "2pi" in name else getattr(module, name)  # type: ignore[no-any-return]


def sample(name: str, dtype: str, n: int) -> Array:
    """Points over the whole domain, evenly and by magnitude."""
    rng = np.random.default_rng(11)
    single = dtype == "float32"
    tiny, half = (-37.0 if single else -300.0), n // 2

    def magnitudes(largest: float, count: int) -> Array:
        return np.asarray(10 ** rng.uniform(tiny, math.log10(largest), count))

    sign = rng.choice([-1.0, 1.0], n)
    if name == "exp":
        low, high = (-87.3, 88.7) if single else (-708.3, 709.7)
        x = np.concatenate([rng.uniform(low, high, half), (magnitudes(1, n) * sign)[half:]])
    elif name == "log":
        x = np.concatenate([magnitudes(3e38 if single else 1e308, half), rng.uniform(0.4, 2.5, n - half)])
    elif name == "tanh":
        x = np.concatenate([rng.uniform(-20, 20, half), (magnitudes(1, n) * sign)[half:]])
    elif name == "erfc":
        x = np.concatenate([rng.uniform(-6, 9 if single else 26, half), rng.uniform(-1, 1, n - half)])
    elif name == "expm1":
        x = -np.concatenate([rng.uniform(0, 87 if single else 708, half), magnitudes(1, n - half)])
    elif name == "log1p":
        x = np.concatenate([rng.uniform(0, 1, half), magnitudes(1, n - half)])
    else:
        third = n // 3
        x = np.concatenate([rng.uniform(-1, 1, third), rng.uniform(-1e4, 1e4, third), sign[2 * third :]])
        x[2 * third :] *= magnitudes(1e30 if single else 1e300, n - 2 * third)
    return x.astype(dtype)


def largest_error(name: str, x: Array, y: Array, error: Array, exact: Array) -> float:
    """In ulp of the exact value, where that is no denormal."""
    normal = np.abs(exact) >= np.finfo(y.dtype).tiny
    ulps = np.abs(error[normal]) / np.spacing(np.abs(exact[normal]).astype(y.dtype))
    if name == "erfc":
        ulps = ulps / (1 + x[normal].astype(float) ** 2)
    assert np.all(y[~normal] == 0) or np.all(np.abs(y[~normal]) <= 2 * np.finfo(y.dtype).tiny)
    return float(ulps.max())


@pytest.mark.parametrize("name", FUNCTIONS)
def test_error_in_float32(name: str, record_property: Callable[[str, object], None]) -> None:
    x = sample(name, "float32", 40_000)
    exact = np.array([exact_function(name, math)(v) for v in x.tolist()])
    y = _core.elementary(name, x)
    worst = largest_error(name, x, y, y - exact, exact)
    record_property("ulp", worst)
    assert worst <= LARGEST_ERROR["float32"][name]


@pytest.mark.parametrize("name", FUNCTIONS)
def test_error_in_float64(name: str, record_property: Callable[[str, object], None]) -> None:
    mpmath: Any = pytest.importorskip("mpmath")
    x = sample(name, "float64", 4_000)
    y = _core.elementary(name, x)
    with mpmath.workdps(40):
        many = [exact_function(name, mpmath)(v if "2pi" in name else mpmath.mpf(v)) for v in x.tolist()]
        error = np.array([float(mpmath.mpf(v) - e) for v, e in zip(y.tolist(), many, strict=True)])
    worst = largest_error(name, x, y, error, np.array([float(e) for e in many]))
    record_property("ulp", worst)
    assert worst <= LARGEST_ERROR["float64"][name]


@dtypes
@pytest.mark.parametrize("name", FUNCTIONS)
def test_elementary_same_bits_everywhere(
    name: str, dtype: str, each_isa: Callable[[], Iterator[str]], place: Callable[[str, Array], Array]
) -> None:
    x = sample(name, dtype, 3_001)
    ends = {n: place("page end", x[len(x) - n :]) for n in [*range(70), 3_000]}
    results = []
    for _ in each_isa():
        y = _core.elementary(name, x)
        results.append(y)
        for n, part in ends.items():
            assert_array_equal(_core.elementary(name, part), y[len(y) - n :])
    for y in results[1:]:
        assert_array_equal(y, results[0])


@dtypes
def test_special_values(dtype: str, isa: str) -> None:
    inf, nan, largest = np.inf, np.nan, float(np.finfo(dtype).max)

    def at(name: str, x: float) -> float:
        return float(_core.elementary(name, np.array([x], dtype))[0])

    for name in ("exp", "log", "tanh", "erfc", "expm1"):
        assert math.isnan(at(name, nan)), name
    assert [at("exp", v) for v in (inf, largest, -inf, -largest, 0.0, -0.0)] == [inf, inf, 0, 0, 1, 1]
    assert [at("expm1", v) for v in (-inf, -largest, 0.0, -0.0)] == [-1, -1, 0, 0]
    assert [at("log", v) for v in (inf, 0.0, -0.0, 1.0)] == [inf, -inf, -inf, 0]
    assert np.isnan([at("log", v) for v in (-1.0, -inf)]).all()
    assert [at("tanh", v) for v in (inf, largest, -largest, -inf)] == [1, 1, -1, -1]
    assert [at("erfc", v) for v in (inf, largest, 0.0, -0.0, -largest, -inf)] == [0, 0, 1, 1, 2, 2]
    assert [at("log1p", v) for v in (0.0, 1.0)] == [0, np.array(math.log(2), dtype)]
    assert str(at("tanh", 0.0)) == "0.0"
    assert str(at("tanh", -0.0)) == "-0.0"
    edge = 88.72283 if dtype == "float32" else 709.782712893384
    assert at("exp", edge * (1 + 1e-6)) == inf
    assert largest / 2 < at("exp", edge * (1 - 1e-7)) < inf


@dtypes
def test_cosine_and_sine_of_turns(dtype: str, isa: str) -> None:
    """Bit for bit by their operations, and exactly at quarters of turns, however many."""
    largest = float(np.finfo(dtype).max)
    more = [
        0.25,
        0.125,
        np.nextafter(0.125, 1),
        0.375,
        0.5,
        2.0**22 + 0.5,
        2.0**23 - 0.5,
        2.0**51 + 0.5,
        1e8 + 0.3,
        1e15,
    ]
    x = np.concatenate([sample("cos2pi", dtype, 3_000), np.array([0.0, largest, *more]).astype(dtype)])
    x = np.concatenate([x, -x])
    for name, wanted in zip(("cos2pi", "sin2pi"), turns.cos_sin(x), strict=True):
        found = _core.elementary(name, x)
        assert_array_equal(found, wanted)
        assert_array_equal(np.signbit(found), np.signbit(wanted))
        assert np.isnan(_core.elementary(name, np.array([np.inf, -np.inf, np.nan], dtype))).all()
    whole = np.array([0, 1, 2, 1e4, 1e6, 2**22 - 1, 2**23, 2**24, 1e30], dtype)
    assert_array_equal(_core.elementary("cos2pi", whole), 1)
    assert_array_equal(_core.elementary("sin2pi", whole), 0)
    assert_array_equal(_core.elementary("cos2pi", whole[:5] + np.array(0.25, dtype)), 0)
    assert_array_equal(_core.elementary("sin2pi", whole[:5] + np.array(0.25, dtype)), 1)
    assert_array_equal(_core.elementary("cos2pi", whole[:5] - np.array(0.5, dtype)), -1)
    assert_array_equal(_core.elementary("sin2pi", whole[:5] - np.array(0.25, dtype)), -1)


def some_values(dtype: str) -> Array:
    rng = np.random.default_rng(12)
    edges = [0.0, -0.0, 1.0, -1.0, 20.0, -20.0, 100.0, -80.0, 1e30, -1e30, 1e-30, -1e-30]
    return np.concatenate([rng.normal(size=2_000) * 4, rng.normal(size=500) * 0.01, edges]).astype(dtype)


def alphas(name: str) -> list[float]:
    return {"leaky_relu": [0.01, 0.3], "elu": [1.0, 0.4]}.get(name, [0.0])


def values_for(name: str, dtype: str) -> Array:
    """Where the activation is finite."""
    x = some_values(dtype)
    return x[np.abs(x) < 80] if name == "exp" else x


@dtypes
@pytest.mark.parametrize("name", activations.ELEMENTWISE)
def test_forward_matches_twin(name: str, dtype: str) -> None:
    """Within a few ulp, except that gelu's tail may lose what exp(-x^2 / 2) loses."""
    x = values_for(name, dtype)
    eps, tiny = float(np.finfo(dtype).eps), float(np.finfo(dtype).tiny)
    wide = x.astype(float)
    for alpha in alphas(name):
        wanted = activations.forward(name, wide, alpha)
        error = np.abs(_core.activate(name, x, alpha) - wanted)
        growth = 1 + np.minimum(wide**2, 1e3) if name == "gelu" else 1
        # Below the smallest normal number there is zero.
        assert np.all(error <= 4 * eps * growth * np.abs(wanted) + tiny * np.maximum(1, np.abs(wide)))


def slopes(name: str, x: Array, alpha: float = 0.0) -> Array:
    """Read off a network of one unit: the gradient of its input, for an output gradient of one."""
    net = _core.Net(nodes_of([(1, 1, name, alpha, False, 0.0)]), x.dtype.name, 0)
    net.parameters[0][...] = 1
    assert_array_equal(net.forward(x[:, None], True)[:, 0], _core.activate(name, x, alpha))
    found = net.backward(np.ones((len(x), 1), x.dtype), True)
    assert found is not None
    return found[:, 0]


@dtypes
@pytest.mark.parametrize("name", activations.ELEMENTWISE)
def test_derivative_matches_twin(name: str, dtype: str, isa: str) -> None:
    x = values_for(name, dtype)
    eps = float(np.finfo(dtype).eps)
    for alpha in alphas(name):
        wanted = activations.derivative(name, x.astype(float), alpha)
        assert np.all(np.abs(slopes(name, x, alpha) - wanted) <= 8 * eps * np.maximum(1, np.abs(wanted)))


def exactly(mpmath: Any, name: str, x: float) -> tuple[Any, Any, Any]:
    """Value, slope, and the largest term of the sum that the slope is, which its error belongs to."""
    z = mpmath.mpf(x)
    if name == "selu":
        scale, alpha = mpmath.mpf("1.0507009873554804934193349852946"), mpmath.mpf("1.6732632423543772848170429916717")
        if z > 0:
            return scale * z, scale, scale
        return scale * alpha * mpmath.expm1(z), scale * alpha * mpmath.exp(z), scale * alpha
    if name == "mish":
        e = mpmath.exp(z)
        t = (e * e + 2 * e) / (e * e + 2 * e + 2)
        rest = z * (1 - t) * (1 + t) * e / (1 + e)
        return z * t, t + rest, max(abs(t), abs(rest))
    gate = min(max(z + 3, 0), 6) / 6
    slope = mpmath.mpf(0 if z <= -3 else 1 if z >= 3 else z / 3 + 0.5)
    return z * gate, slope, slope


# The largest errors of value and slope in ulp, a little above what was measured.
LARGEST_ERRORS = {"selu": (1.4, 1.1), "mish": (3.1, 4.2), "hard_swish": (1.7, 1.1)}


@lru_cache
def exact_values(name: str, dtype: str) -> tuple[Array, list[tuple[Any, Any, Any]], Any]:
    """Points, what is exact there, and the precision of that, once for all instruction sets."""
    mpmath: Any = pytest.importorskip("mpmath")
    parts = [sample("exp", dtype, 2_000), *(np.linspace(a, b, 500) for a, b in [(-3.2, -2.8), (-1.7, -1), (-8, 8)])]
    x = np.concatenate(parts).astype(dtype)
    digits = 400 if dtype == "float64" else 80
    with mpmath.workdps(digits):
        return x, [exactly(mpmath, name, v) for v in x.tolist()], digits


@dtypes
@pytest.mark.parametrize("name", LARGEST_ERRORS)
def test_errors_of_values_and_slopes(
    name: str, dtype: str, isa: str, record_property: Callable[[str, object], None]
) -> None:
    mpmath: Any = pytest.importorskip("mpmath")
    x, exact, digits = exact_values(name, dtype)
    with mpmath.workdps(digits):
        for i, (found, largest) in enumerate(
            zip((_core.activate(name, x), slopes(name, x)), LARGEST_ERRORS[name], strict=True)
        ):
            error = np.array([float(mpmath.mpf(v) - e[i]) for v, e in zip(found.tolist(), exact, strict=True)])
            size = np.abs(np.array([float(e[2 * i]) for e in exact])).astype(dtype)
            normal = size >= np.finfo(dtype).tiny
            ulps = float(np.max(np.abs(error[normal]) / np.spacing(size[normal])))
            assert np.all(np.abs(error[~normal]) <= np.finfo(dtype).tiny)
            record_property(("ulp", "ulp of the slope")[i], ulps)
            assert ulps <= largest


@dtypes
@pytest.mark.parametrize("name", ["selu", "mish", "hard_swish"])
def test_ends_and_kinks(name: str, dtype: str, isa: str) -> None:
    """What torch gives, but that a large value does not overflow where the activation is the identity."""
    inf, nan, most, tiny = np.inf, np.nan, float(np.finfo(dtype).max), float(np.finfo(dtype).tiny)
    scale, flat = np.array([activations.SELU_SCALE, 1.7580993408473768599]).astype(dtype)
    x = np.array([-inf, -most, -3, -0.0, 0, 3, most, inf, nan], dtype)
    y, slope = _core.activate(name, x), slopes(name, x)
    assert np.isnan(y[-1])
    assert_array_equal(y[[3, 4]], [0, 0])
    assert_array_equal(np.signbit(y[[3, 4]]), [True, False])
    if name == "selu":
        assert_array_equal(y[[0, 1, 5, 6, 7]], np.array([-flat, -flat, scale * np.float64(3), inf, inf], dtype))
        assert_array_equal(slope[[0, 1, 3, 4, 5, 6, 7]], np.array([0, 0, flat, flat, scale, scale, scale], dtype))
    elif name == "mish":
        assert_array_equal(y[[0, 1, 6, 7]], np.array([nan, 0, most, inf], dtype))
        assert_array_equal(slope[[0, 1, 6, 7, 8]], np.array([nan, 0, 1, nan, nan], dtype))
        assert np.abs(slope[[3, 4]] - 0.6).max() <= np.finfo(dtype).eps
    else:
        assert_array_equal(y[[0, 1, 2, 5, 6, 7]], np.array([nan, 0, 0, 3, most, inf], dtype))
        assert_array_equal(slope[:-1], np.array([0, 0, 0, 0.5, 0.5, 1, 1, 1], dtype))
        assert np.isnan(slope[-1])
    near = np.array([-tiny, -tiny / 2, -tiny / 16, tiny / 16, tiny / 2, tiny], dtype)
    rise = activations.derivative(name, near.astype(float))
    assert np.all(np.abs(_core.activate(name, near) - rise * near.astype(float)) <= tiny)


@pytest.mark.parametrize(("dtype", "tolerance"), [("float32", 4e-6), ("float64", 1e-14)])
@pytest.mark.parametrize("name", activations.ELEMENTWISE)
def test_matches_torch(name: str, dtype: str, tolerance: float) -> None:
    """Values and slopes, at kinks too."""
    torch: Any = pytest.importorskip("torch")
    alpha = activations.ALPHA.get(name, 0.0)
    x = np.concatenate([values_for(name, dtype), np.array([-3, 3, 0, -0.0, 1.5, -1.5], dtype)])
    z = torch.tensor(x, requires_grad=True)
    y = activations.in_torch(torch)[name](z)
    y.backward(torch.ones_like(y))
    for found, wanted in ((_core.activate(name, x, alpha), y.detach()), (slopes(name, x, alpha), z.grad)):
        assert np.all(np.abs(found - wanted.numpy()) <= tolerance * np.maximum(1, np.abs(wanted.numpy())))


@dtypes
@pytest.mark.parametrize("name", activations.ELEMENTWISE)
def test_activation_same_bits_everywhere(
    name: str, dtype: str, each_isa: Callable[[], Iterator[str]], place: Callable[[str, Array], Array]
) -> None:
    x = some_values(dtype)
    ends = {n: place("page end", x[len(x) - n :]) for n in range(70)}
    alpha = alphas(name)[-1]
    results = []
    for _ in each_isa():
        y = _core.activate(name, x, alpha)
        results.append(np.stack([y, slopes(name, x, alpha)]))
        for n, part in ends.items():
            assert_array_equal(_core.activate(name, part, alpha), y[len(y) - n :])
    for y in results[1:]:
        assert_array_equal(y, results[0])


@dtypes
@pytest.mark.parametrize("name", activations.ELEMENTWISE)
def test_activations_propagate_nan_and_overflow(name: str, dtype: str, isa: str) -> None:
    x = np.array([np.nan, 1.0, np.inf], dtype)
    y = _core.activate(name, x, alphas(name)[0])
    assert np.isnan(y[0])
    assert np.isfinite(y[1])
    assert y[2] == (1 if name in ("sigmoid", "tanh") else np.inf)


@dtypes
@pytest.mark.parametrize("cols", [1, 2, 10, 16, 17, 33, 70])
def test_softmax(
    cols: int, dtype: str, each_isa: Callable[[], Iterator[str]], place: Callable[[str, Array], Array]
) -> None:
    """Rows of a network with unit weights; extreme logits stay finite; the same bits everywhere."""
    rng = np.random.default_rng(cols)
    z = rng.normal(size=(23, cols)) * 3
    z[1] += 1e4
    z[2] -= 1e4
    z[3, 0] = 1e30
    z[4] = -1e30
    z = z.astype(dtype)
    x = place("page end", np.eye(23, dtype=dtype))
    results = []
    for _ in each_isa():
        net = _core.Net(nodes_of([(23, cols, "softmax", 0.0, False, 0.0)]), dtype, 0)
        net.parameters[0][...] = z
        y = net.predict(x, None)
        results.append(y)
        eps = float(np.finfo(dtype).eps)
        assert np.all(np.abs(y - activations.softmax(z.astype(float))) <= 8 * eps)
        assert np.all(np.abs(y.sum(axis=1, dtype=float) - 1) <= 8 * eps)
    for y in results[1:]:
        assert_array_equal(y, results[0])
