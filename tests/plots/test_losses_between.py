"""The loss along lines and on planes through the parameters of networks."""

from __future__ import annotations

import copy
import doctest
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import schuss
from schuss import plots
from schuss.plots import loss_lines, loss_planes

RNG = np.random.default_rng(0)
X = RNG.normal(size=(60, 4)).astype(np.float32)
Y = RNG.integers(0, 3, 60)
LAYERS = [schuss.Dense(4, 6, "tanh"), schuss.Dense(6, 3)]


def network(seed: int, *, batch_norm: bool = False, dtype: str = "float32") -> schuss.Network:
    middle = [schuss.BatchNorm(momentum=0.2)] if batch_norm else []
    return schuss.Network([LAYERS[0], *middle, LAYERS[1]], seed=seed, dtype=dtype)


def trained(seed: int, name: str = "adam", **given: Any) -> schuss.Network:
    net = network(seed, **given)
    net.fit(X, Y, loss="cross_entropy", optimizer=name, lr=0.02, epochs=4)
    return net


def vector(net: schuss.Network) -> np.ndarray:
    return np.concatenate([array.ravel() for array in net.parameters]).astype(float)


def cross_entropy(parameters: np.ndarray, x: np.ndarray, y: np.ndarray) -> float:
    """The network's loss, in NumPy."""
    at = 0
    arrays = []
    for shape in ((4, 6), (6,), (6, 3), (3,)):
        arrays.append(parameters[at : at + int(np.prod(shape))].reshape(shape))
        at += arrays[-1].size
    logits = np.tanh(x @ arrays[0] + arrays[1]) @ arrays[2] + arrays[3]
    logits = logits - logits.max(axis=1, keepdims=True)
    return float(np.mean(np.log(np.exp(logits).sum(axis=1)) - logits[np.arange(len(y)), y]))


# -- lines -----------------------------------------------------------------------------------------------------------


def test_a_line_is_that_of_numpy() -> None:
    a, b = trained(0), trained(1, "sgd")
    held = RNG.normal(size=(20, 4)), RNG.integers(0, 3, 20)
    line = plots.loss_line(a, b, X, Y, loss="cross_entropy", validation_data=held, points=7, beyond=0.5)
    start, end = vector(a), vector(b)
    np.testing.assert_allclose(line.at, [-0.5, -1 / 6, 0, 1 / 6, 0.5, 5 / 6, 1, 7 / 6, 1.5], atol=1e-12)
    for t, training, validation in zip(line.at, line.training, line.validation, strict=True):  # type: ignore[arg-type]
        place = ((1 - t) * start + t * end).astype(np.float32).astype(float)
        assert training == pytest.approx(cross_entropy(place, X.astype(float), Y), rel=1e-5)
        assert validation == pytest.approx(cross_entropy(place, *held), rel=1e-5)
    # At both ends it is what the networks themselves say, to the last bit.
    assert line.training[line.at == 0] == a.evaluate(X, Y, "cross_entropy")["loss"]
    assert line.training[line.at == 1] == b.evaluate(X, Y, "cross_entropy")["loss"]
    assert line.validation is not None
    assert line.validation[line.at == 1] == b.evaluate(*held, "cross_entropy")["loss"]
    assert line.distance == pytest.approx(np.linalg.norm(end - start))
    assert (line.loss, line.statistics, line.labels) == ("cross_entropy", None, ("start", "end"))


def test_barriers() -> None:
    """Of one weight and one row: (w - 1)^2 (w + 1)^2 is no network, but |1 - w1 w2|^2 has two minima and a hill."""
    net = schuss.Network(
        [schuss.Dense(1, 1, "tanh", bias=False), schuss.Dense(1, 1, bias=False)], seed=0, dtype="float64"
    )
    x, y = np.array([[1.0]]), np.array([[0.5]])
    ends = [np.array([np.arctanh(0.5) * sign, sign]) for sign in (1.0, -1.0)]
    line = plots.loss_line(*ends, x, y, loss="mse", network=net, points=21, beyond=0.0)
    assert line.training[[0, -1]] == pytest.approx([0, 0], abs=1e-30)
    assert line.barrier == line.training[10] == 0.25
    flat = plots.loss_line(ends[0], ends[0] + 1, x, y, loss="mse", network=net, points=21, beyond=0.0)
    assert flat.barrier == pytest.approx(max(flat.training - flat.at * flat.training[-1]))


def test_weights_and_losses_of_all_kinds() -> None:
    a, b, weights = trained(0), trained(1), RNG.uniform(size=60)
    line = plots.loss_line(a, b, X, Y, loss="cross_entropy", sample_weight=weights, points=2, beyond=0)
    assert line.training[0] == a.evaluate(X, Y, "cross_entropy", sample_weight=weights)["loss"]
    line = plots.loss_line(a, b, X, Y, loss=schuss.Focal(1.0), points=2, beyond=0)
    assert line.training[1] == b.evaluate(X, Y, schuss.Focal(1.0))["loss"]

    def own(prediction: np.ndarray, target: np.ndarray) -> tuple[float, np.ndarray]:
        return float((prediction**2).mean()), 2 * prediction / prediction.size

    line = plots.loss_line(a, b, X, Y, loss=own, points=2, beyond=0)
    assert line.training[1] == pytest.approx((b.predict(X).astype(float) ** 2).mean())
    assert line.loss == "own"


def test_sequences() -> None:
    nets = [schuss.Network([schuss.Input("x", (5, 2)), schuss.GRU(3), schuss.Dense(1)], seed=k) for k in range(3)]
    x, y, lengths = RNG.normal(size=(9, 5, 2)), RNG.normal(size=9), RNG.integers(1, 6, 9)
    line = plots.loss_line(nets[0], nets[1], x, y, loss="mse", lengths=lengths, points=3, beyond=0)
    assert line.training[0] == nets[0].evaluate(x, y, "mse", lengths=lengths)["loss"]
    plane = plots.loss_plane(nets, x, y, loss="mse", lengths=lengths, resolution=3)
    assert plane.points["2"].loss == nets[2].evaluate(x, y, "mse", lengths=lengths)["loss"]


# -- planes ----------------------------------------------------------------------------------------------------------


def test_a_plane_is_that_of_numpy() -> None:
    nets = {name: trained(k, name) for k, name in enumerate(("sgd", "adam", "rmsprop"))}
    plane = plots.loss_plane(nets, X, Y, loss="cross_entropy", resolution=6)
    a, b, c = (vector(net) for net in nets.values())
    along = (b - a) / np.linalg.norm(b - a)
    across = (c - a) - ((c - a) @ along) * along
    across /= np.linalg.norm(across)
    np.testing.assert_allclose(plane.directions, [along, across], atol=1e-12)
    np.testing.assert_array_equal(plane.origin, a)
    np.testing.assert_allclose(plane.directions @ plane.directions.T, np.eye(2), atol=1e-14)
    for row, y in enumerate(plane.ys):
        for column, x in enumerate(plane.xs):
            place = (a + x * along + y * across).astype(np.float32).astype(float)
            assert plane.losses[row, column] == pytest.approx(cross_entropy(place, X.astype(float), Y), rel=1e-5)
    for (label, net), parameters in zip(nets.items(), (a, b, c), strict=True):
        place = plane.points[label]
        assert place.loss == net.evaluate(X, Y, "cross_entropy")["loss"]
        assert place.off == 0
        np.testing.assert_allclose(
            plane.origin + np.array([place.x, place.y]) @ plane.directions, parameters, atol=1e-6
        )
        assert plane.xs[0] < place.x < plane.xs[-1] and plane.ys[0] < place.y < plane.ys[-1]


def test_more_points_and_paths() -> None:
    nets = {name: trained(k, name) for k, name in enumerate(("sgd", "adam", "rmsprop", "adagrad"))}
    seen: list[np.ndarray] = []
    net = network(9)
    net.fit(X, Y, loss="cross_entropy", epochs=3, callbacks=[lambda record: seen.append(vector(record.network))])
    plane = plots.loss_plane(nets, X, Y, loss="cross_entropy", paths={"sgd": seen}, resolution=3)
    for name, parameters in (("adagrad", vector(nets["adagrad"])), ("sgd", seen[1])):
        flat = (parameters - plane.origin) @ plane.directions.T
        off = np.linalg.norm(parameters - plane.origin - flat @ plane.directions)
        if name == "adagrad":
            place = plane.points[name]
            assert (place.x, place.y, place.off) == pytest.approx((*flat, off))
            assert place.loss == nets[name].evaluate(X, Y, "cross_entropy")["loss"]
        else:
            np.testing.assert_allclose(plane.paths["sgd"][1], [*flat, off])
    assert plane.paths["sgd"].shape == (3, 3)


def test_the_plane_on_which_paths_are_widest() -> None:
    way = np.cumsum(RNG.normal(size=(12, 51)), axis=0)
    plane = plots.loss_plane(None, X, Y, loss="cross_entropy", paths={"a": way}, network=network(0), resolution=4)
    rest = way - way[-1]
    expected = np.linalg.svd(rest)[2][:2]
    np.testing.assert_allclose(np.abs((plane.directions * expected).sum(axis=1)), 1)
    assert (plane.paths["a"][-1] == 0).all() and plane.points == {}
    np.testing.assert_array_equal(plane.origin, way[-1])
    limited = plots.loss_plane(
        None, X, Y, loss="cross_entropy", paths={"a": way}, network=network(0), resolution=4, limits=((0, 1), (2, 5))
    )
    assert limited.xs.tolist() == [0, 1 / 3, 2 / 3, 1] and limited.ys.tolist() == [2, 3, 4, 5]


def test_sets_of_parameters_of_every_form() -> None:
    nets = [trained(k) for k in range(3)]
    forms: list[list[Any]] = [
        nets,
        [vector(net) for net in nets],
        [net.parameters for net in nets],
        [[array.tolist() for array in net.parameters] for net in nets],
        [nets[0], vector(nets[1]).astype(np.float32), list(nets[2].parameters)],
    ]
    found = [plots.loss_plane(form, X, Y, loss="cross_entropy", network=nets[0], resolution=3).losses for form in forms]
    for losses in found[1:]:
        np.testing.assert_array_equal(losses, found[0])


# -- BatchNorm -------------------------------------------------------------------------------------------------------


def test_statistics_are_computed_anew() -> None:
    a, b = trained(0, batch_norm=True, dtype="float64"), trained(1, batch_norm=True, dtype="float64")
    line = plots.loss_line(a, b, X, Y, loss="cross_entropy", points=3, beyond=0)
    assert line.statistics == "recompute"
    for t, loss in zip(line.at, line.training, strict=True):
        twin = copy.deepcopy(a)
        place, begin = (1 - t) * vector(a) + t * vector(b), 0
        for array in twin.parameters:
            array[...] = place[begin : begin + array.size].reshape(array.shape)
            begin += array.size
        states = twin.named_states()
        before = X.astype(float) @ twin.parameters[0] + twin.parameters[1]
        hidden = np.tanh(before)
        states["layers.1.running_mean"][...] = hidden.mean(axis=0)
        states["layers.1.running_var"][...] = hidden.var(axis=0, ddof=1)
        assert loss == pytest.approx(twin.evaluate(X, Y, "cross_entropy")["loss"], rel=1e-9)


def test_statistics_of_rows_that_overlap_and_without_dropout() -> None:
    windows, ahead = schuss.windows(RNG.normal(size=(120, 3)).astype(np.float32), past=6, ahead=1)
    target = np.ascontiguousarray(ahead[:, 0, 0])

    def nets(dropout: float) -> list[schuss.Network]:
        norm = schuss.BatchNorm()
        layers = [schuss.Input("x", (6, 3)), schuss.Conv1D(4, 3, "relu"), norm, schuss.Flatten()]
        layers += [schuss.Dense(5, "relu", dropout=dropout), norm, schuss.Dense(1)]
        return [schuss.Network(layers, seed=k) for k in range(3)]

    found = [
        plots.loss_plane(nets(dropout), rows, target, loss="mse", resolution=3).losses
        for dropout, rows in ((0.5, windows), (0.5, np.array(windows)), (0.0, windows))
    ]
    np.testing.assert_array_equal(found[1], found[0])
    np.testing.assert_array_equal(found[2], found[0])


def test_statistics_can_be_interpolated() -> None:
    nets = [trained(k, batch_norm=True) for k in range(3)]
    line = plots.loss_line(*nets[:2], X, Y, loss="cross_entropy", points=3, beyond=8.0, statistics="interpolate")
    assert line.statistics == "interpolate"
    for t, net in ((0, nets[0]), (1, nets[1])):
        assert line.training[line.at == t] == net.evaluate(X, Y, "cross_entropy")["loss"]
    assert np.isfinite(line.training).all()  # no variance below zero far beyond the ends
    plane = plots.loss_plane(nets, X, Y, loss="cross_entropy", statistics="interpolate", resolution=2)
    assert plane.points["2"].loss == nets[2].evaluate(X, Y, "cross_entropy")["loss"]
    # At a corner of the triangle the plane is the network itself.
    place = plane.points["2"]
    limits = ((place.x, place.x + 1), (place.y, place.y + 1))
    plane = plots.loss_plane(nets, X, Y, loss="cross_entropy", statistics="interpolate", resolution=2, limits=limits)
    assert plane.losses[0, 0] == pytest.approx(place.loss, rel=1e-5)


# -- nothing changes, and what is wrong --------------------------------------------------------------------------------


@pytest.mark.parametrize("batch_norm", [False, True])
def test_nothing_of_the_callers_changes(batch_norm: bool) -> None:
    nets = [trained(k, batch_norm=batch_norm) for k in range(3)]
    data = X.copy(), Y.copy()
    before = [pickle.dumps(net) for net in nets], [array.tobytes() for array in data]
    twin = copy.deepcopy(nets[0])
    plots.loss_line(nets[0], nets[1], *data, loss="cross_entropy", points=5, validation_data=data)
    plots.loss_plane(nets, *data, loss="cross_entropy", resolution=3).plot()
    with pytest.raises(ValueError, match="finite"):
        plots.loss_plane(nets, data[0] * np.nan, data[1], loss="cross_entropy")
    assert before == ([pickle.dumps(net) for net in nets], [array.tobytes() for array in data])
    # Nor does what training then does, whose draws and statistics go on.
    for net in (nets[0], twin):
        net.fit(X, Y, loss="cross_entropy", epochs=2)
    assert all((a == b).all() for a, b in zip(nets[0].parameters, twin.parameters, strict=True))
    assert all((a == b).all() for a, b in zip(nets[0]._core.states, twin._core.states, strict=True))


NETS = [network(k) for k in range(3)]


def line(*given: Any, **named: Any) -> Any:
    return plots.loss_line(*given, X, Y, **{"loss": "cross_entropy", **named})


def plane(points: Any, **named: Any) -> Any:
    return plots.loss_plane(points, X, Y, **{"loss": "cross_entropy", **named})


BAD: list[tuple[Callable[[], Any], type[Exception], str]] = [
    (lambda: line(NETS[0], schuss.Network([schuss.Dense(4, 3)], seed=0)), ValueError, "end must have the layers"),
    (lambda: line(NETS[0], vector(NETS[0])[:-1]), ValueError, "end must be a Network.*vector of 51"),
    (lambda: line(NETS[0], [np.zeros(3)]), ValueError, "end must have arrays of the shapes"),
    (lambda: line(NETS[0], np.full(51, np.inf)), ValueError, "end must be finite"),
    (lambda: line(vector(NETS[0]), vector(NETS[0])), ValueError, "network must be given"),
    (lambda: line(NETS[0], NETS[1], network=3), TypeError, "network must be a Network"),
    (lambda: line(NETS[0], NETS[1], loss="crossentropy"), ValueError, "cross_entropy"),
    (lambda: line(NETS[0], NETS[1], points=1), ValueError, "points must be"),
    (lambda: line(NETS[0], NETS[1], beyond=-1), ValueError, "beyond must be"),
    (lambda: line(NETS[0], NETS[1], labels="ab"), ValueError, "labels must be two"),
    (lambda: line(NETS[0], NETS[1], statistics="none"), ValueError, "statistics 'none'"),
    (lambda: line(NETS[0], NETS[1], validation_data=X), ValueError, r"validation_data must be \(X, y\)"),
    (lambda: line(NETS[0], NETS[1], validation_data=(X, Y[:3])), ValueError, r"validation_data\[1\]"),
    (lambda: plane(NETS[:2]), ValueError, "at least three"),
    (lambda: plane(NETS[0]), TypeError, "points must be a mapping or a sequence"),
    (lambda: plane([NETS[0], NETS[0], NETS[1]]), ValueError, "the first two are the same"),
    (lambda: plane([NETS[0], NETS[1], NETS[0]]), ValueError, "the first three do"),
    (lambda: plane(None, network=NETS[0]), ValueError, "paths must be given"),
    (lambda: plane(None, network=NETS[0], paths={"a": [vector(NETS[0])]}), ValueError, "at least three"),
    (lambda: plane(NETS, paths=[1]), TypeError, "paths must be a mapping"),
    (lambda: plane(NETS, paths={"a": []}), ValueError, r"paths\['a'\] must have at least one"),
    (lambda: plane(NETS, paths={"a": [np.zeros(3)]}), ValueError, r"paths\['a'\]\[0\]"),
    (lambda: plane(NETS, resolution=1), ValueError, "resolution must be"),
    (lambda: plane(NETS, margin=-1), ValueError, "margin must be"),
    (lambda: plane(NETS, limits=3), ValueError, "limits must be"),
]


@pytest.mark.parametrize("k", range(len(BAD)))
def test_bad_input(k: int) -> None:
    call, kind, message = BAD[k]
    with pytest.raises(kind, match=message):
        call()


# -- pictures --------------------------------------------------------------------------------------------------------


def test_a_line_is_drawn(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    found = plots.loss_line(
        NETS[0], trained(0), X, Y, loss="cross_entropy", validation_data=(X, Y), labels=("before", "after")
    )
    figure = found.plot(tmp_path / "line.png")
    (axes,) = figure.axes
    assert axes.get_title() == f"Loss along the line, barrier {found.barrier:.3g}"
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("way from before (0) to after (1)", "cross_entropy")
    assert [text.get_text() for text in axes.get_legend().get_texts()] == ["training", "validation", "before", "after"]
    np.testing.assert_array_equal(axes.lines[0].get_xydata(), np.column_stack((found.at, found.training)))
    assert (tmp_path / "line.png").stat().st_size > 5000
    assert found.plot(ax=axes) is figure
    with pytest.raises(TypeError, match="ax must be"):
        found.plot(ax=3)


def test_a_plane_is_drawn(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    nets = {name: trained(k, name) for k, name in enumerate(("sgd", "adam", "rmsprop", "adagrad"))}
    ways = {"adam": [network(1), nets["adam"]], "other": [NETS[0], NETS[1]]}
    found = plots.loss_plane(nets, X, Y, loss="cross_entropy", paths=ways, resolution=9)
    figure = found.plot(tmp_path / "plane.svg")
    (axes,) = figure.axes
    assert axes.get_title().startswith("cross_entropy on the plane, from ")
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("distance from sgd towards adam", "distance across")
    (legend,) = figure.legends
    texts = [text.get_text() for text in legend.get_texts()]
    places = found.points
    assert texts[0] == f"sgd: {places['sgd'].loss:.3g}"
    assert texts[1] == f"adam: {places['adam'].loss:.3g}\nits path is up to {found.paths['adam'][:, 2].max():.2g} off"
    assert texts[3] == f"adagrad: {places['adagrad'].loss:.3g}\n{places['adagrad'].off:.2g} off the plane"
    assert texts[4].startswith("other\nits path") and texts[5] == "where paths begin"
    assert "<svg" in (tmp_path / "plane.svg").read_text()
    nets = {name: trained(k, name, batch_norm=True) for k, name in enumerate(("sgd", "adam", "rmsprop"))}
    figure = plots.loss_plane(nets, X, Y, loss="cross_entropy", resolution=3).plot()
    assert figure.axes[0].get_title().endswith("BatchNorm's statistics anew at each point")


def test_losses_without_bounds_are_drawn(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    far = [vector(NETS[0]) * factor for factor in (1.0, 1e20)]
    with np.errstate(over="ignore"):
        found = line(*far, network=NETS[0], points=5)
    found.plot(tmp_path / "far.png")
    wide = [vector(net) * 1e19 for net in NETS]
    plane(wide, network=NETS[0], resolution=4).plot(tmp_path / "wide.png")


def test_examples() -> None:
    assert doctest.testmod(loss_lines).failed == 0
    assert doctest.testmod(loss_planes).failed == 0
