"""Paths of optimizers: what they are, and how they are drawn."""

from __future__ import annotations

import doctest
import math
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import schuss
from schuss import plots
from schuss.plots import traces

matplotlib = pytest.importorskip("matplotlib")
RAVINE = plots.FUNCTIONS["ravine"]


def adam(x: np.ndarray, lr: float, steps: int) -> np.ndarray:
    """Adam's formula, in NumPy."""
    x, m, v, points = np.array(x, float), np.zeros(2), np.zeros(2), [np.array(x, float)]
    for t in range(1, steps + 1):
        g = RAVINE.jac(x)
        m, v = 0.9 * m + 0.1 * g, 0.999 * v + 0.001 * g * g
        x = x - lr * (m / (1 - 0.9**t)) / (np.sqrt(v / (1 - 0.999**t)) + 1e-8)
        points.append(x)
    return np.array(points)


# -- traces --------------------------------------------------------------------------------------------------------


def test_points_are_those_of_the_formulas() -> None:
    found = plots.trace("ravine", (-3.0, 0.4), [("sgd", {"lr": 0.01}), ("adam", {"lr": 0.1})], steps=40)
    assert list(found) == ["SGD, lr 0.01", "Adam, lr 0.1"]
    rates = 1 - 0.01 * np.array([1, 100])
    expected = np.array([-3.0, 0.4]) * rates ** np.arange(41)[:, None]
    sgd = found["SGD, lr 0.01"]
    np.testing.assert_allclose(sgd.points, expected, rtol=1e-12, atol=1e-300)
    np.testing.assert_allclose(sgd.losses, [RAVINE(x) for x in sgd.points], rtol=1e-12)
    np.testing.assert_allclose(
        found["Adam, lr 0.1"].points, adam(np.array([-3.0, 0.4]), 0.1, 40), rtol=1e-9, atol=1e-12
    )
    assert (sgd.steps, sgd.lr, sgd.diverged) == (40, 0.01, False)


def test_names_classes_and_functions_are_the_same() -> None:
    given: dict[str, Any] = {
        "name": ("adam", {"lr": 0.1}),
        "upper case": ("ADAM", {"lr": 0.1}),
        "class": (schuss.Adam, {"lr": 0.1}),
        "function": lambda x: schuss.Adam(x, lr=0.1),
    }
    found = plots.trace("beale", optimizers=given, steps=30)
    assert list(found) == list(given)
    for one in found.values():
        np.testing.assert_array_equal(one.points, found["name"].points)


def test_gradients_of_every_kind() -> None:
    def both(x: np.ndarray) -> tuple[float, np.ndarray]:
        return RAVINE(x), RAVINE.jac(x)

    def call(fun: Any, jac: Any) -> np.ndarray:
        return plots.trace(fun, RAVINE.start, ["adam"], jac=jac, lr=0.1, steps=50)["Adam"].points

    exact = plots.trace("ravine", optimizers=["adam"], lr=0.1, steps=50)["Adam"].points
    np.testing.assert_array_equal(call(both, True), exact)
    np.testing.assert_array_equal(call(lambda x: RAVINE(x), RAVINE.jac), exact)
    np.testing.assert_allclose(call(lambda x: RAVINE(x), "3-point"), exact, atol=1e-5)
    np.testing.assert_allclose(call(lambda x: RAVINE(x), None), exact, atol=1e-3)


def test_a_rate_that_is_not_given_is_the_best_of_many() -> None:
    found = plots.trace("ravine", optimizers=["sgd", "adam"], steps=60)
    assert list(found) == ["SGD", "Adam"]
    for label, trace in found.items():
        assert trace.lr is not None and trace.losses.max() == trace.losses[0]
        end = np.median(trace.losses[-6:])
        for lr in traces._RATES:
            other = plots.trace("ravine", optimizers=[label], lr=lr, steps=60)[label]
            worse = other.diverged or other.losses.max() > other.losses[0]
            assert worse or np.median(other.losses[-6:]) >= end
    # SGD's limit on this function is 2 / 100.
    assert found["SGD"].lr == 0.01


def test_every_optimizer_goes() -> None:
    for name in [*schuss.optim.BY_NAME, "lbfgs"]:
        if name == "muon":
            with pytest.raises(ValueError, match="two dimensions"):
                plots.trace("saddle", optimizers=[name], steps=5)
            continue
        (trace,) = plots.trace("saddle", optimizers=[name], lr=0.01, steps=5).values()
        assert trace.points.shape == (trace.steps + 1, 2) and np.isfinite(trace.losses).all()


def test_what_diverges_says_so() -> None:
    def cubic(x: np.ndarray) -> float:
        return math.exp(x[0]) + math.exp(-4 * x[0]) + x[1] ** 2  # OverflowError where it is too large

    found = plots.trace(cubic, (1.0, 1.0), [("sgd", {"lr": 2.0}), ("adam", {"lr": 0.1})])
    wild = found["SGD, lr 2"]
    assert wild.diverged and np.isfinite(wild.points).all() and np.isfinite(wild.losses).all()
    assert wild.steps < 5 and not found["Adam, lr 0.1"].diverged


def test_paths_of_others() -> None:
    mine = plots.trace("ravine", optimizers=["adam"], lr=0.1, steps=9)["Adam"]
    found = plots.trace("ravine", optimizers={"a": mine, "b": mine.points, "c": mine.points.tolist()})
    assert [trace.label for trace in found.values()] == ["a", "b", "c"]
    for trace in found.values():
        np.testing.assert_array_equal(trace.points, mine.points)
        np.testing.assert_allclose(trace.losses, mine.losses, rtol=1e-15)
    assert (found["a"].lr, found["b"].lr) == (0.1, None)


def test_labels() -> None:
    given: list[Any] = [
        "sgd",
        ("sgd", {"momentum": 0.9, "nesterov": True}),
        schuss.RMSProp,
        lambda x: schuss.Lookahead(schuss.Adam(x, lr=0.1)),
        "lbfgs",
    ]
    assert list(plots.trace("ravine", optimizers=given, lr=0.001, steps=3)) == [
        "SGD", "SGD, momentum 0.9, nesterov True", "RMSProp", "Lookahead around Adam", "LBFGS",
    ]  # fmt: skip


def test_nothing_of_the_callers_changes() -> None:
    start = np.array([-1.0, 0.5])
    options = {"lr": 0.1}
    plots.paths("ravine", start, [("adam", options)], steps=5)
    assert start.tolist() == [-1.0, 0.5] and options == {"lr": 0.1}


def two(x: float, y: float) -> float:
    return x * y


BAD: list[tuple[Callable[[], Any], type[Exception], str]] = [
    (lambda: plots.paths("rosen"), ValueError, "function 'rosen' is not known; did you mean 'rosenbrock'"),
    (lambda: plots.paths(3), TypeError, "function must be a name or a function"),  # type: ignore[arg-type]
    (lambda: plots.paths(two, (1, 1)), TypeError, r"lambda x: function\(\*x\)"),
    (lambda: plots.paths(lambda x: x @ x), ValueError, "start must be given"),
    (lambda: plots.paths("ravine", (1, 2, 3)), ValueError, r"start must have shape \(2,\)"),
    (lambda: plots.paths("ravine", (1, math.inf)), ValueError, "start must be finite"),
    (lambda: plots.paths(lambda x: math.nan, (1, 1)), ValueError, "must be finite at start"),
    (lambda: plots.paths(lambda x: (1.0, x), (1, 1)), ValueError, "jac=True says"),
    (lambda: plots.paths(lambda x: 2 * x, (1, 1)), ValueError, "must return a number"),
    (lambda: plots.paths("ravine", optimizers="adam"), TypeError, "put it in a list"),
    (lambda: plots.paths("ravine", optimizers=[]), ValueError, "at least one"),
    (lambda: plots.paths("ravine", optimizers=["adamm"]), ValueError, r"optimizers\[0\] 'adamm'.*did you mean 'adam'"),
    (lambda: plots.paths("ravine", optimizers=["adam", "adam"]), ValueError, "different labels"),
    (lambda: plots.paths("ravine", optimizers=[schuss.Adam(np.zeros(2))]), TypeError, "array of its own"),
    (lambda: plots.paths("ravine", optimizers=[lambda x: 3]), TypeError, r"optimizers\[0\] must make an optimizer"),
    (lambda: plots.paths("ravine", optimizers=[("adam", {"lrr": 1})]), ValueError, "did you mean 'lr'"),
    (lambda: plots.paths("ravine", optimizers=[np.zeros((3, 3))]), ValueError, r"shape \(3, 3\)"),
    (lambda: plots.paths("ravine", lr=-1), ValueError, "lr must be"),
    (lambda: plots.paths("ravine", steps=0), ValueError, "steps must be"),
    (lambda: plots.paths("ravine", limits=(0, 1)), ValueError, "limits must be"),
    (lambda: plots.paths("ravine", limits=((1, 0), (0, 1))), ValueError, "from low to high"),
    (lambda: plots.paths("ravine", levels=[1, 1]), ValueError, "levels must be"),
    (lambda: plots.paths("ravine", minimum=1.0), ValueError, "minimum must have shape"),
    (lambda: plots.paths("ravine", resolution=1), ValueError, "resolution must be"),
    (lambda: plots.paths("ravine", frames=1), ValueError, "frames must be"),
    (lambda: plots.paths("ravine", seconds=0), ValueError, "seconds must be"),
    (lambda: plots.paths("ravine", ax=3), TypeError, "ax must be matplotlib Axes"),
    (lambda: plots.paths("ravine", path=3), TypeError, "path must be"),  # type: ignore[arg-type]
]


@pytest.mark.parametrize("k", range(len(BAD)))
def test_bad_input(k: int) -> None:
    call, kind, message = BAD[k]
    with pytest.raises(kind, match=message):
        call()


# -- pictures ------------------------------------------------------------------------------------------------------


def texts(figure: Any) -> list[str]:
    (legend,) = figure.legends
    return [text.get_text() for text in legend.get_texts()]


def test_a_picture_says_what_it_shows(tmp_path: Path) -> None:
    figure = plots.paths("ravine", optimizers=["sgd", "adam"], lr=0.015, steps=60, path=tmp_path / "ravine.png")
    (axes,) = figure.axes
    assert (axes.get_title(), axes.get_xlabel(), axes.get_ylabel()) == ("Ravine: 60 steps", "x[0]", "x[1]")
    found = plots.trace("ravine", optimizers=["sgd", "adam"], lr=0.015, steps=60)
    ends = [f"{trace.losses[-1]:.3g}" for trace in found.values()]
    assert texts(figure) == [
        f"SGD, lr 0.015\nends at {ends[0]}", f"Adam, lr 0.015\nends at {ends[1]}", "start", "minimum",
    ]  # fmt: skip
    lines = {line.get_label(): line for line in axes.lines}
    for text, trace in zip(texts(figure)[:2], found.values(), strict=True):
        np.testing.assert_array_equal(lines[text].get_xydata(), trace.points)
    assert lines["start"].get_xydata().tolist() == [[-4.0, 0.7]] and lines["minimum"].get_xydata().tolist() == [[0, 0]]
    colors = {lines[text].get_color() for text in texts(figure)[:2]}
    assert len(colors) == 2
    assert (axes.get_xlim(), axes.get_ylim()) == RAVINE.limits
    assert (tmp_path / "ravine.png").read_bytes().startswith(b"\x89PNG")


def test_it_is_no_figure_of_pyplot() -> None:
    code = """
import sys
import schuss
assert "schuss.plots" not in sys.modules
schuss.plots.paths
assert "matplotlib" not in sys.modules
assert schuss.plots.paths is schuss.plots.paths and callable(schuss.plots.paths)
assert set(schuss.plots.__all__) <= set(dir(schuss.plots))
schuss.plots.paths("ravine", optimizers=["adam"], lr=0.1, steps=3)
assert "matplotlib.pyplot" not in sys.modules
"""
    subprocess.run([sys.executable, "-c", code], check=True)


def test_without_matplotlib(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(ImportError, match="pip install matplotlib"):
        plots.paths("ravine")


def test_into_axes_of_ones_own() -> None:
    from matplotlib.figure import Figure

    axes = Figure().subplots()
    figure = plots.paths("saddle", optimizers=["adam"], lr=0.1, ax=axes, title="mine")
    assert figure is axes.figure and axes.get_title() == "mine"
    assert [text.get_text() for text in axes.get_legend().get_texts()][1:] == ["start", "minima"]
    with pytest.raises(ValueError, match="ax must be None with an animation"):
        plots.paths("saddle", ax=axes, path="a.gif")


def test_a_path_that_leaves_is_cut_at_the_frame() -> None:
    given = [("sgd", {"lr": 0.021}), ("sgd", {"lr": 0.05})]
    figure = plots.paths("ravine", optimizers=given, steps=2000)
    slow, fast = texts(figure)[:2]
    for text, lr in ((slow, 0.021), (fast, 0.05)):
        trace = plots.trace("ravine", optimizers=[("sgd", {"lr": lr})], steps=2000)[f"SGD, lr {lr}"]
        outside = np.abs(trace.points[:, 1]) > 1
        left = int(np.flatnonzero(outside)[0])
        assert f"leaves the frame at step {left}" in text
        assert outside[left:].all()
        (points,) = (line.get_xydata() for line in figure.axes[0].lines if line.get_label() == text)
        assert len(points) == left + 1
        np.testing.assert_array_equal(points[:-1], trace.points[:left])
        # Its last point is where the way to the next one meets the edge.
        before, after = trace.points[left - 1], trace.points[left]
        share = (np.sign(after[1]) - before[1]) / (after[1] - before[1])
        np.testing.assert_allclose(points[-1], before + share * (after - before), rtol=1e-12)
        assert abs(points[-1][1]) == 1
    assert "diverges after" in fast and "diverges" not in slow


def test_what_swings_out_and_comes_back_is_not_cut() -> None:
    figure = plots.paths("ravine", optimizers=["adam"], lr=0.1, steps=300, limits=((-5, 1), (-0.15, 0.75)))
    trace = plots.trace("ravine", optimizers=["adam"], lr=0.1, steps=300)["Adam"]
    assert (trace.points[:, 1] < -0.15).any()
    (line,) = (line for line in figure.axes[0].lines if line.get_label().startswith("Adam"))
    np.testing.assert_array_equal(line.get_xydata(), trace.points)
    assert "ends at" in line.get_label()


def test_levels_are_in_equal_ratios_above_the_minimum() -> None:
    from schuss.plots.contours import levels_above

    grid = np.stack(np.meshgrid(np.linspace(-3, 3, 61), np.linspace(-3, 3, 61)))
    values = 5 + (grid**2).sum(axis=0)
    levels = levels_above(values, 5.0, 12)
    assert len(levels) == 12
    ratios = (levels[1:] - 5) / (levels[:-1] - 5)
    np.testing.assert_allclose(ratios, ratios[0], rtol=1e-9)
    above = values[values > 5] - 5
    assert np.quantile(above, 0.005) == pytest.approx(levels[0] - 5)
    assert np.quantile(above, 0.99) == pytest.approx(levels[-1] - 5)
    # One pole, and cells where there is nothing, change little.
    values[3, 3], values[4, 4], values[5, 5] = 1e300, np.nan, np.inf
    assert levels_above(values, 5.0, 12)[-1] == pytest.approx(levels[-1], rel=0.05)
    assert len(levels_above(np.full((5, 5), 3.0), 3.0)) == 0
    assert len(levels_above(np.full((5, 5), 4.0), 3.0)) == 1


@pytest.mark.parametrize(
    "function",
    [
        lambda x: 3.0,
        lambda x: 1e12 + x @ x,
        lambda x: 1e300 * (x @ x),
        lambda x: 1e-300 * (x @ x),
        lambda x: x[0] ** 2 - x[1] ** 2,
        lambda x: x[0],
        lambda x: np.nan if x[0] > 1.2 else float(x @ x),
        lambda x: np.log(x[0]) ** 2 + abs(x[1]),
        lambda x: abs(x[0]) if x[0] > x[1] else x[1] ** 2,
    ],
    ids=["constant", "high", "huge", "tiny", "without minimum", "slope", "with a hole", "half", "with branches"],
)
def test_functions_of_every_shape(function: Callable[[np.ndarray], float], tmp_path: Path) -> None:
    figure = plots.paths(function, (1.0, 0.5), ["sgd", "adam"], steps=30, resolution=21, path=tmp_path / "a.png")
    (left, right), (low, high) = figure.axes[0].get_xlim(), figure.axes[0].get_ylim()
    assert left < 1 < right and low < 0.5 < high
    assert max(-left, right, -low, high) < 1e4


def test_frames_hold_what_matters() -> None:
    start = (3.0, -2.0)
    figure = plots.paths(lambda x: (x[0] - 7) ** 2 + 5 * (x[1] - 1) ** 2, start, ["adam"], minimum=(7, 1))
    (left, right), (low, high) = figure.axes[0].get_xlim(), figure.axes[0].get_ylim()
    assert -2 < left < 3 and 7 < right < 12 and -7 < low < -2 and 1 < high < 6
    # One start outside of what is usually shown.
    figure = plots.paths("rosenbrock", (-5.0, 9.0), ["adam"], lr=0.3)
    assert figure.axes[0].get_xlim()[0] < -5 and figure.axes[0].get_ylim()[1] > 9


def test_grids_in_one_call_or_point_by_point() -> None:
    xs, ys = np.linspace(-1, 1, 7), np.linspace(0, 2, 5)
    expected = np.array([[RAVINE((x, y)) for x in xs] for y in ys])

    def wrong(x: np.ndarray) -> Any:  # takes arrays, but means something else by them
        return 0.5 * (x[0] * x[0] + 100 * x[1] * x[1]) + (np.ndim(x[0]) > 0)

    for function in (RAVINE, wrong, lambda x: float(RAVINE(x)), lambda x: float(x[0] ** 2 + 100 * x[1] ** 2) / 2):
        problem = traces.Problem(function, (0.0, 0.0), None)
        np.testing.assert_allclose(problem.on(xs, ys), expected, rtol=1e-12)
    calls = []
    problem = traces.Problem(lambda x: calls.append(1) or RAVINE(x), (0.0, 0.0), None)  # type: ignore[func-returns-value]
    calls.clear()
    problem.on(np.linspace(-1, 1, 101), ys)
    assert len(calls) == 13


@pytest.mark.parametrize("style", ["default", "dark_background", "ggplot"])
def test_on_light_and_dark_grounds(style: str, tmp_path: Path) -> None:
    """What is drawn differs from its ground everywhere where there are contours, and text is in the style's colour."""
    import matplotlib.style
    from PIL import Image

    with matplotlib.style.context(style):
        figure = plots.paths("himmelblau", optimizers=["adam"], lr=0.3, path=tmp_path / "a.png")
        ink = matplotlib.colors.to_rgb(matplotlib.rcParams["axes.labelcolor"])
    light = sum(ink) < 1.5
    pixels = np.asarray(Image.open(tmp_path / "a.png").convert("L"), float)
    assert (pixels.mean() > 128) == light
    assert pixels.std() > 10
    start = next(line for line in figure.axes[0].lines if line.get_label() == "start")
    assert matplotlib.colors.to_rgb(start.get_color()) == ink


def test_examples() -> None:
    from schuss.plots import path_figures

    assert doctest.testmod(traces).failed == 0
    assert doctest.testmod(path_figures).failed == 0
