"""What drawings of a comparison show: axes, units, legends, numbers, and only as many points as one sees."""

from __future__ import annotations

import io
import subprocess
import sys
import warnings
from dataclasses import replace
from math import inf, nan
from typing import Any

import numpy as np
import pytest

pytest.importorskip("matplotlib")

from schuss.comparison import Comparison, Contender
from schuss.plots import comparison as drawings
from schuss.plots.comparison import POINTS, plain
from schuss.plots.themes import DARK, LIGHT, strokes
from tests.comparison.example import example

SIZE = drawings.size_for_all(example())


def drawn(draw: Any, *given: Any, theme: Any = LIGHT) -> Any:
    """The axes after drawing, laid out."""
    figure = drawings.panel(lambda axes: draw(*given, axes, theme), SIZE)
    figure.draw_without_rendering()
    return figure.axes[0]


def lines(axes: Any) -> dict[str, Any]:
    return {line.get_label(): line for line in axes.get_lines() if not line.get_label().startswith("_")}


def legend(axes: Any) -> list[str]:
    return [text.get_text() for text in axes.get_legend().get_texts()]


def with_runs(found: Comparison, **changes: Any) -> Comparison:
    """Every run with other curves."""
    contenders = tuple(
        replace(one, runs=tuple(replace(run, **changes) for run in one.runs)) for one in found.contenders
    )
    return replace(found, contenders=contenders)


@pytest.mark.parametrize("theme", [LIGHT, DARK], ids=["light", "dark"])
def test_loss_over_steps(theme: Any) -> None:
    found = example()
    axes = drawn(drawings.over_steps, found, theme=theme)
    assert axes.get_xlabel() == "step" and axes.get_ylabel() == "training loss (cross entropy)"
    assert axes.get_title(loc="left") == "Loss over steps" and axes.get_yscale() == "log"
    assert legend(axes) == ["Adam", "AdamW", "RMSProp", "SGD + momentum", "SGD"]
    line = lines(axes)["Adam"]
    each = np.array([run.losses for run in found["Adam"].runs]).reshape(3, 60, 2).mean(axis=2)
    np.testing.assert_allclose(line.get_ydata(), np.median(each, axis=0))
    np.testing.assert_array_equal(line.get_xdata(), np.arange(2, 121, 2))
    of_label = strokes(one.label for one in found.contenders)
    for label, one in lines(axes).items():
        assert one.get_color() == theme.series[of_label[label].place] and one.get_marker() == of_label[label].marker
    low, high = axes.collections[0].get_datalim(axes.transData).intervaly
    np.testing.assert_allclose([low, high], [each.min(), each.max()])
    assert line.get_linewidth() > lines(axes)["SGD"].get_linewidth()  # of what is recommended


def test_many_steps_are_means_of_several() -> None:
    losses = tuple(np.random.default_rng(0).exponential(size=100_003).tolist())
    found = replace(with_runs(example(), losses=losses), steps=len(losses))
    axes = drawn(drawings.over_steps, found)
    line = lines(axes)["Adam"]
    assert POINTS / 2 < len(line.get_xdata()) <= POINTS and line.get_xdata()[-1] == 100_003
    width = int(line.get_xdata()[0])
    np.testing.assert_allclose(line.get_ydata()[0], np.mean(losses[:width]))
    left = 100_003 - width * (len(line.get_xdata()) - 1)
    np.testing.assert_allclose(line.get_ydata()[-1], np.mean(losses[-left:]))
    assert f"mean of {width} batches" in axes.texts[0].get_text()


def test_loss_over_seconds() -> None:
    found = example()
    axes = drawn(drawings.over_seconds, found)
    assert axes.get_xlabel() == "seconds of training" and axes.get_ylabel() == "validation loss (cross entropy)"
    assert legend(axes)[-2:] == ["target", "budget of time"]
    np.testing.assert_allclose(lines(axes)["target"].get_ydata(), found.target)
    np.testing.assert_allclose(lines(axes)["budget of time"].get_xdata(), found.seconds)
    line, run = lines(axes)["AdamW"], found["AdamW"].runs[1]
    np.testing.assert_allclose(line.get_xdata(), run.seconds)
    np.testing.assert_allclose(line.get_ydata(), run.judged)
    alone = drawn(drawings.over_seconds, example(validation=False))
    assert alone.get_ylabel() == "training loss (cross entropy)"


def test_many_points_are_thinned_out_and_both_ends_stay() -> None:
    curve = tuple(np.linspace(2, 1, 3000).tolist())
    times = tuple(np.linspace(0.001, 3, 3000).tolist())
    axes = drawn(drawings.over_seconds, with_runs(example(), validation=curve, train=curve, seconds=times))
    line = lines(axes)["Adam"]
    assert len(line.get_xdata()) == POINTS
    assert [*line.get_ydata()[[0, -1]], *line.get_xdata()[[0, -1]]] == [2, 1, 0.001, 3]


def test_validation_beside_training() -> None:
    found = example()
    axes = drawn(drawings.beside_training, found, found["RMSProp"])
    of = lines(axes)
    assert of["training"].get_linestyle() == "--" and of["validation"].get_linestyle() == "-"
    assert of["training"].get_color() == of["validation"].get_color()
    np.testing.assert_allclose(of["validation"].get_xdata(), np.arange(10, 121, 10))
    np.testing.assert_allclose(of["validation"].get_ydata(), found["RMSProp"].runs[1].validation)
    assert axes.get_title(loc="left") == "RMSProp"
    assert axes.get_xlabel() == "step" and axes.get_ylabel() == "cross entropy"
    assert list(lines(drawn(drawings.beside_training, example(validation=False), found["Adam"]))) == ["training"]


def test_training_losses_far_below_validation_are_not_followed() -> None:
    falling = tuple(10.0**-k for k in range(12))
    held = tuple(max(0.5, loss) for loss in falling)
    found = with_runs(example(), train=falling, validation=held)
    low, high = drawn(drawings.beside_training, found, found["Adam"]).get_ylim()
    assert 0.02 < low < 0.05 and 1 < high < 3


def test_loss_against_rate() -> None:
    found = example()
    axes = drawn(drawings.against_rate, found, found["Adam"])
    assert axes.get_xscale() == "log" and axes.get_xlabel() == "learning rate"
    assert axes.get_ylabel() == "validation loss"
    of = lines(axes)
    assert {"120 steps", "fewer, given up", "diverged", "rate taken"} <= set(of)
    np.testing.assert_allclose(of["120 steps"].get_xdata(), [0.004])
    np.testing.assert_allclose(of["diverged"].get_xdata(), [0.032, 0.064])
    np.testing.assert_allclose(of["rate taken"].get_xdata(), 0.004)
    band = next(patch for patch in axes.patches if patch.get_label() == "good rates")
    np.testing.assert_allclose([band.get_x(), band.get_x() + band.get_width()], found["Adam"].band)
    other = drawn(drawings.against_rate, found, found["SGD"])
    assert other.get_xlim() == axes.get_xlim() and other.get_ylim() == axes.get_ylim()


def test_an_optimizer_whose_rates_all_diverged_is_drawn_as_that() -> None:
    found = example()
    axes = drawn(drawings.against_rate, found, found["Lion"])
    assert list(lines(axes)) == ["diverged"] and len(lines(axes)["diverged"].get_xdata()) == 3
    assert drawn(drawings.beside_training, found, found["Lion"]).texts[0].get_text() == "every rate diverged"
    assert "Lion" not in legend(drawn(drawings.over_steps, found))


@pytest.mark.parametrize(
    "losses", [(-3.0, -5.0), (0.0, 0.0), (1e-300, 1e300), (nan, 2.0), (inf, 2.0), (2.0,), (nan,), ()]
)
def test_losses_of_any_kind_are_drawn(losses: tuple[float, ...]) -> None:
    found = with_runs(
        example(), losses=losses, train=losses, validation=losses, seconds=tuple(0.1 * k for k in range(len(losses)))
    )
    tried = tuple(replace(one, loss=loss) for one, loss in zip(found.contenders[0].tried, losses, strict=False))
    found = replace(
        found, contenders=(replace(found.contenders[0], tried=tried), *found.contenders[1:]), start=nan, target=nan
    )
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for draw in (drawings.over_steps, drawings.over_seconds):
            drawn(draw, found)
        for draw_one in (drawings.beside_training, drawings.against_rate):
            drawn(draw_one, found, found.contenders[0])


def test_where_one_seed_has_diverged_the_line_goes_on_with_the_others() -> None:
    found = example()
    first = found.contenders[0]
    short = replace(first.runs[0], losses=first.runs[0].losses[:5], train=(), validation=(), seconds=(), diverged=True)
    found = replace(found, contenders=(replace(first, runs=(short, *first.runs[1:])), *found.contenders[1:]))
    line = lines(drawn(drawings.over_steps, found))["Adam"]
    assert np.isfinite(line.get_ydata()).all() and len(line.get_ydata()) == 60
    drawn(drawings.over_seconds, found)
    drawn(drawings.beside_training, found, found["Adam"])


@pytest.mark.parametrize("ending", ["png", "svg", "pdf"])
def test_everything_on_one_page(tmp_path: Any, ending: str) -> None:
    figure = example().plot(tmp_path / f"all.{ending}", dark=ending == "png")
    assert (tmp_path / f"all.{ending}").stat().st_size > 10_000
    titles = [axes.get_title(loc="left") for axes in figure.axes]
    assert titles[:2] == ["Loss over steps", "Loss over seconds"]
    assert titles[2:8] == ["Adam", "AdamW", "RMSProp", "SGD + momentum", "SGD", "Lion"]
    assert figure.get_suptitle() == "numbers: optimizers compared"
    keys = [[text.get_text() for text in part.legends[0].get_texts()] for part in figure.subfigs[1:]]
    assert keys[0] == ["training", "validation"] and {"good rates", "diverged", "rate taken"} <= set(keys[1])


def test_dark_has_a_dark_background() -> None:
    figure = example().plot(dark=True)
    file = io.BytesIO()
    figure.savefig(file, format="png", dpi=20)
    from matplotlib.image import imread

    file.seek(0)
    assert imread(file)[0, 0, :3].max() < 0.15
    with pytest.raises(TypeError, match="dark"):
        example().plot(dark="yes")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("given", "shown"), [("a$b$", r"a\$b\$"), ("_x", "\u2060_x"), ("two\nlines \x00", "two lines"), ("SGD", "SGD")]
)
def test_text_is_shown_as_it_is(given: str, shown: str) -> None:
    assert plain(given) == shown
    found = replace(example(), name=given)
    first: Contender = replace(found.contenders[0], label=f"{given} y")
    found = replace(found, contenders=(first, *found.contenders[1:]), recommended=first.label)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        axes = drawn(drawings.over_steps, found)
    assert len(legend(axes)) == 5 and legend(axes)[0] == plain(first.label)
    assert drawings.draw_comparison(found).get_suptitle() == f"{plain(given)}: optimizers compared"


@pytest.mark.parametrize(
    "label", ["Opt {}", "an optimizer, {}", "one of a very long name indeed, number {}", "x{}" * 99]
)
def test_legends_of_many_long_labels_leave_room_for_the_curves(label: str) -> None:
    found = example()
    contenders = [replace(found.contenders[k % 5], label=label.replace("{}", str(k))) for k in range(20)]
    found = replace(found, contenders=tuple(contenders), recommended=contenders[0].label)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        figure = drawings.panel(lambda axes: drawings.over_seconds(found, axes, LIGHT), drawings.size_for_all(found))
        figure.draw_without_rendering()
    inside = figure.axes[0].get_position()
    assert inside.width > 0.6 and inside.height * figure.get_size_inches()[1] > 1.5
    legend = figure.axes[0].get_legend().get_window_extent()
    assert legend.x0 >= 0 and legend.x1 <= figure.bbox.x1 and legend.y0 >= 0
    assert len({text.get_text() for text in figure.axes[0].get_legend().get_texts()}) >= 3


def test_pyplot_is_not_imported() -> None:
    code = (
        "import sys; from tests.comparison.example import example; example().plot(); "
        "assert 'matplotlib.pyplot' not in sys.modules and 'matplotlib.figure' in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
