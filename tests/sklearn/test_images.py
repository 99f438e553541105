"""ImageClassifier: images of any dtype and shape, scikit-learn's conventions, and errors by name."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from numpy.typing import NDArray

import schuss

sklearn = pytest.importorskip("sklearn")
from sklearn.base import clone  # noqa: E402
from sklearn.datasets import load_digits  # noqa: E402
from sklearn.exceptions import NotFittedError  # noqa: E402
from sklearn.model_selection import GridSearchCV, cross_val_score  # noqa: E402
from sklearn.utils import estimator_checks  # noqa: E402

from schuss.sklearn import ImageClassifier  # noqa: E402

Array = NDArray[Any]


def stripes(rows: int = 80, shape: tuple[int, ...] = (9, 10), dtype: Any = np.uint8) -> tuple[Array, Array]:
    """Images whose stripes lie down or across, or are none."""
    rng = np.random.default_rng(0)
    y = rng.integers(0, 3, rows)
    x = rng.integers(0, 60, (rows, *shape)).astype(dtype)
    for image, kind in zip(x, y, strict=True):
        if kind == 1:
            image[::2] += np.asarray(150, dtype)
        elif kind == 2:
            image[:, ::2] += np.asarray(150, dtype)
    return x, np.array(["none", "across", "down"])[y]


def small(**options: Any) -> ImageClassifier:
    return ImageClassifier(**{"epochs": 6, "batch_size": 16, "random_state": 0, "lr": 3e-3, **options})


@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.float32, np.float64, ">f8"])
@pytest.mark.parametrize("shape", [(9, 10), (9, 10, 1), (9, 10, 3), (16, 18)])
def test_images(dtype: Any, shape: tuple[int, ...]) -> None:
    x, y = stripes(shape=shape, dtype=dtype)
    clf = small().fit(x[:60], y[:60])
    assert clf.score(x[60:], y[60:]) > 0.9
    assert clf.classes_.tolist() == ["across", "down", "none"]
    assert clf.image_shape_ == (*shape[:2], shape[2] if len(shape) > 2 else 1)
    assert clf.scale_ == (255 if dtype is np.uint8 else x[:60].max())
    p = clf.predict_proba(x[60:])
    assert p.shape == (20, 3)
    assert_allclose(p.sum(axis=1), 1)
    assert_array_equal(clf.classes_[p.argmax(axis=1)], clf.predict(x[60:]))
    assert_allclose(np.exp(clf.predict_log_proba(x[60:])), p)
    assert clf.n_iter_ == clf.best_epoch_ == len(clf.history_) == 6


def test_the_same_images_are_the_same() -> None:
    """Of another dtype, with their one channel, or with the channels first."""
    x, y = stripes()
    wanted = small().fit(x, y).predict_proba(x)
    assert_array_equal(small().fit(x[..., None], y).predict_proba(x), wanted)
    assert_array_equal(small(channels="first").fit(x[:, None], y).predict_proba(x), wanted)
    big = x.astype(np.float64) / 255 * 1e300
    assert_allclose(
        small().fit(big, y).predict_proba(big), small().fit(x / 255.0, y).predict_proba(x / 255.0), atol=1e-4
    )


def test_it_follows_from_random_state(set_threads: Callable[[int], None]) -> None:
    x, y = stripes()
    one, two, other = small(n_jobs=1).fit(x, y), small(n_jobs=2).fit(x, y), small(random_state=1).fit(x, y)
    assert_array_equal(one.predict_proba(x), two.predict_proba(x))
    assert not np.array_equal(one.predict_proba(x), other.predict_proba(x))
    assert_array_equal(one.fit(x, y).predict_proba(x), two.predict_proba(x))


def test_layers_of_ones_own() -> None:
    x, y = stripes()
    layers = [schuss.Conv2D(4, 3, "relu"), schuss.MaxPool(2), schuss.GlobalAvgPool()]
    clf = small(layers=layers, augment=None, epochs=2).fit(x, y)
    assert [layer.kind for layer in clf.network_.layers] == ["input", "conv2d", "max_pool", "global_avg_pool", "dense"]
    assert small(layers=[], epochs=1).fit(x, y).network_.layers[1].kind == "flatten"
    assert small(layers=layers[:1], epochs=1).fit(x, y).network_.layers[2].kind == "flatten"
    with pytest.raises(ValueError, match="kernel must be at most 2 x 2"):
        small(layers=[schuss.MaxPool(4), schuss.Conv2D(2, 5)]).fit(x[:, :, :12], y)


def test_digits() -> None:
    digits = load_digits()
    clf = ImageClassifier(epochs=10, random_state=0).fit(digits.images[:1400], digits.target[:1400])
    assert clf.score(digits.images[1400:], digits.target[1400:]) > 0.93


@pytest.mark.parametrize("shape", [(1, 1), (2, 5), (7, 30), (31, 33)])
def test_default_layers_fit_any_size(shape: tuple[int, int]) -> None:
    x, y = stripes(12, shape)
    assert small(epochs=1).fit(x, y).predict(x).shape == (12,)


# ---- scikit-learn's conventions --------------------------------------------------------------------------------------

CHECKS = [
    "check_estimator_cloneable",
    "check_estimator_repr",
    "check_estimator_tags_renamed",
    "check_get_params_invariance",
    "check_mixin_order",
    "check_no_attributes_set_in_init",
    "check_parameters_default_constructible",
    "check_set_params",
    "check_valid_tag_types",
]


@pytest.mark.parametrize("name", CHECKS)
def test_checks_that_need_no_rows_of_columns(name: str) -> None:
    getattr(estimator_checks, name)("ImageClassifier", ImageClassifier())


def test_clone_and_pickle() -> None:
    x, y = stripes()
    clf = small(augment=schuss.Augment(1, flip=True), class_weight={"none": 2.0}).fit(x, y)
    again = clone(clf)
    assert not hasattr(again, "network_")
    assert_array_equal(again.fit(x, y).predict_proba(x), clf.predict_proba(x))
    loaded = pickle.loads(pickle.dumps(clf))
    assert_array_equal(loaded.predict_proba(x), clf.predict_proba(x))
    assert loaded.get_params() == clf.get_params()


def test_searches() -> None:
    x, y = stripes()
    assert cross_val_score(small(epochs=4), x, y, cv=2).shape == (2,)
    found = GridSearchCV(small(epochs=2), {"augment": [None, "shift"], "batch_size": [8, 16]}, cv=2).fit(x, y)
    assert set(found.best_params_) == {"augment", "batch_size"}
    assert found.predict(x).shape == y.shape


def test_weights() -> None:
    """Of no weight is not there; a class weight is that of its rows."""
    x, y = stripes()
    weights = np.r_[np.ones(60), np.zeros(20)]
    assert_array_equal(small().fit(x, y, weights).predict_proba(x), small().fit(x[:60], y[:60]).predict_proba(x))
    by_class = small(class_weight={"down": 3.0}).fit(x, y)
    by_row = small().fit(x, y, np.where(y == "down", 3.0, 1.0))
    assert_array_equal(by_class.predict_proba(x), by_row.predict_proba(x))


def test_early_stopping() -> None:
    x, y = stripes()
    clf = small(early_stopping=True, patience=2, epochs=40).fit(x, y)
    assert clf.best_epoch_ <= clf.n_iter_ <= 40
    assert "val_loss" in clf.history_
    given = small(epochs=2).fit(x[:60], y[:60], X_val=x[60:], y_val=y[60:])
    assert len(given.history_["val_loss"]) == 2
    assert given.network_.parameters[0].shape == clf.network_.parameters[0].shape


def test_an_interrupted_fit_changes_nothing() -> None:
    x, y = stripes()
    clf = small().fit(x, y)
    before = clf.predict_proba(x)
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        clf.fit(x, y[:-1])
    assert_array_equal(clf.predict_proba(x), before)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"augment": "flip"}, "augment"),
        ({"channels": "middle"}, "channels"),
        ({"epochs": 0}, "epochs"),
        ({"optimizer": "adams"}, "optimizer"),
        ({"optimizer": dict}, "optimizer must be a name or class"),
        ({"augment": schuss.Augment(10)}, "augment.shift must be less than the image's height, 9"),
        ({"layers": [schuss.Flatten(), schuss.MaxPool(2)]}, "MaxPool, must come behind"),
    ],
)
def test_wrong_parameters(options: dict[str, Any], message: str) -> None:
    x, y = stripes()
    with pytest.raises(ValueError, match=message):
        small(**options).fit(x, y)


def test_wrong_images() -> None:
    x, y = stripes()
    clf = small(epochs=1)
    with pytest.raises(NotFittedError):
        clf.predict(x)
    with pytest.raises(
        ValueError, match=r"X must have shape \(rows, height, width\) or .*; got \(80, 90\); use X.reshape"
    ):
        clf.fit(x.reshape(80, 90), y)
    with pytest.raises(ValueError, match=r"X must have shape .*; got \(80, 3, 3, 2, 5\)"):
        clf.fit(x.reshape(80, 3, 3, 2, 5), y)
    with pytest.raises(ValueError, match="Input X contains NaN"):
        clf.fit(np.where(x > 200, np.nan, x), y)
    with pytest.raises(ValueError, match="at least two classes"):
        clf.fit(x, np.zeros(80, int))
    with pytest.raises(ValueError, match="requires y to be passed"):
        clf.fit(x, None)
    with pytest.raises(ValueError, match="Unknown label type"):
        clf.fit(x, np.linspace(0, 1, 80))
    clf.fit(x, y)
    with pytest.raises(
        ValueError, match=r"X has images of shape \(10, 9, 1\), but ImageClassifier is expecting \(9, 10, 1\)"
    ):
        clf.predict(np.swapaxes(x, 1, 2))
    with pytest.raises(ValueError, match="y_val must hold classes of y"):
        clf.fit(x, y, X_val=x, y_val=np.full(80, "new"))


def test_a_blank_image_is_an_image() -> None:
    x = np.zeros((6, 8, 8))
    assert small(epochs=1).fit(x, [0, 1, 0, 1, 0, 1]).predict(x).shape == (6,)
