"""Labels of classes as users have them, what classes weigh, and logarithms of their probabilities."""

from __future__ import annotations

from numbers import Real
from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.utils.class_weight import compute_class_weight
from sklearn.utils.validation import column_or_1d

if TYPE_CHECKING:
    from numpy.typing import NDArray


def labels_of(name: str, y: Any) -> NDArray[Any]:
    """(rows,) labels, none of which is missing."""
    labels = column_or_1d(y, warn=True)
    if labels.dtype.kind == "O":
        for row, label in enumerate(labels):
            if label is None or label != label or type(label).__name__ == "NAType":
                raise ValueError(f"Input {name} contains NaN: {name}[{row}] is {label!r}")
        if all(isinstance(label, (bool, np.bool_)) for label in labels):
            labels = labels.astype(bool)
        elif all(isinstance(label, Real) and not isinstance(label, (bool, np.bool_)) for label in labels):
            labels = np.array(labels.tolist())
    elif labels.dtype.kind == "f" and not np.isfinite(labels).all():
        row = int(np.isfinite(labels).argmin())
        raise ValueError(f"Input {name} contains NaN or infinity: {name}[{row}] is {labels[row]}")
    return labels  # type: ignore[no-any-return]


def codes_of(name: str, y: Any, classes: NDArray[Any]) -> NDArray[np.int64]:
    """Places of labels among the classes, which have all of them."""
    labels = labels_of(name, y)
    unknown = np.setdiff1d(labels, classes)
    if len(unknown):
        raise ValueError(f"{name} must hold classes of y, {classes}; got {unknown}")
    return np.searchsorted(classes, labels).astype(np.int64)


def weights_with_classes(
    class_weight: Any, classes: NDArray[Any], codes: NDArray[np.int64], sample_weight: NDArray[Any] | None
) -> NDArray[Any] | None:
    """The rows' weights times those of their classes, as `class_weight` of scikit-learn's estimators says them."""
    if class_weight is None:
        return sample_weight
    of_class = np.zeros(len(classes))
    counts = slice(None) if sample_weight is None else sample_weight > 0
    present = np.unique(codes[counts])
    of_class[present] = compute_class_weight(
        class_weight,
        classes=classes[present],
        y=classes[codes[counts]],
        sample_weight=None if sample_weight is None else sample_weight[counts],
    )
    of_rows: NDArray[Any] = of_class[codes]
    return of_rows if sample_weight is None else sample_weight * of_rows


def logarithms(probabilities: NDArray[np.float64]) -> NDArray[np.float64]:
    """Of probabilities, in their own memory; that of 0 is -inf."""
    with np.errstate(divide="ignore"):
        return np.log(probabilities, out=probabilities)
