"""Classification of several columns at once, each with classes of its own: a group of outputs for each."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.preprocessing import LabelBinarizer

if TYPE_CHECKING:
    from numpy.typing import NDArray


def columns_of(y: Any) -> NDArray[Any]:
    """Labels (rows, columns) as an array in which numbers beside text stay numbers."""
    if hasattr(y, "shape") or hasattr(y, "__array__"):
        return np.asarray(y)
    rows = list(y)
    kinds = {isinstance(label, str) for row in rows if isinstance(row, (list, tuple)) for label in row}
    return np.array(rows, dtype=object if len(kinds) > 1 else None)


def _of_one_kind(k: int, column: NDArray[Any]) -> NDArray[Any]:
    """The labels of one column, in its own dtype where the table's is that of any object."""
    if column.dtype != object:
        return column
    labels = column.tolist()
    for kinds in ((bool, np.bool_), (str,), (int, np.integer, float, np.floating)):
        fit = [
            isinstance(label, kinds) and (bool in kinds or not isinstance(label, (bool, np.bool_))) for label in labels
        ]
        if all(fit):
            return column if str in kinds else np.array(labels)
        if any(fit):
            row = fit.index(False)
            raise ValueError(f"y[:, {k}] must hold labels of one kind; y[{row}, {k}] is {labels[row]!r} beside others")
    raise ValueError(f"y[:, {k}] must hold text, numbers or truth values; y[0, {k}] is {labels[0]!r}")


class ColumnBinarizer:
    """What LabelBinarizer is for one column of labels, for several.

    Attributes
    ----------
    classes_ : list of array
        Of each column.
    columns_ : list of slice
        Which columns of the binary form are each column's: one, or as many as there are classes if more than two.
    """

    y_type_ = "multiclass-multioutput"

    def fit(self, y: Any) -> ColumnBinarizer:
        """Learn the classes of y (rows, columns)."""
        columns = np.asarray(y)
        if columns.ndim != 2:
            raise ValueError(f"y must have shape (rows, columns) with multi_output=True; got {columns.shape}")
        return self.fit_classes([np.unique(_of_one_kind(k, column)) for k, column in enumerate(columns.T)])

    def fit_classes(self, classes: Any) -> ColumnBinarizer:
        """Take the classes of each column."""
        self._binarizers = [LabelBinarizer().fit(np.unique(of_column)) for of_column in classes]
        self.classes_ = [binarizer.classes_ for binarizer in self._binarizers]
        self.columns_: list[slice] = []
        start = 0
        for of_column in self.classes_:
            width = len(of_column) if len(of_column) > 2 else 1
            self.columns_.append(slice(start, start + width))
            start += width
        return self

    def transform(self, y: Any) -> NDArray[Any]:
        """The binary form (rows, columns of all)."""
        given = np.asarray(y)
        if given.ndim != 2 or given.shape[1] != len(self._binarizers):
            raise ValueError(f"y must have shape (rows, {len(self._binarizers)}); got {given.shape}")
        columns = [_of_one_kind(k, column) for k, column in enumerate(given.T)]
        for k, (binarizer, column) in enumerate(zip(self._binarizers, columns, strict=True)):
            unknown = np.setdiff1d(column, binarizer.classes_)
            if len(unknown):
                raise ValueError(f"y[:, {k}] must hold classes of {binarizer.classes_}; got {unknown}")
        parts = [binarizer.transform(column) for binarizer, column in zip(self._binarizers, columns, strict=True)]
        return np.concatenate(parts, axis=1)

    def inverse_transform(self, values: NDArray[Any]) -> NDArray[Any]:
        """The labels of binary rows or of logits: the largest of each group, or whether a single one is above 0."""
        chosen = []
        for of_column, part in zip(self.classes_, self.columns_, strict=True):
            group = values[:, part]
            index = group.argmax(axis=1) if group.shape[1] > 1 else (group[:, 0] > 0).astype(int)
            chosen.append(of_column[np.minimum(index, len(of_column) - 1)])
        kinds = {"n" if of_column.dtype.kind in "iuf" else of_column.dtype.kind for of_column in self.classes_}
        if len(kinds) == 1:
            return np.stack(chosen, axis=1)
        # One dtype for all would turn numbers beside text into text.
        return np.stack([of_column.astype(object) for of_column in chosen], axis=1)

    def probabilities(self, logits: NDArray[Any]) -> list[NDArray[Any]]:
        """Those of each column's classes."""
        found = []
        for part in self.columns_:
            group = logits[:, part]
            if group.shape[1] == 1:
                p = 0.5 + 0.5 * np.tanh(group / 2)
                found.append(np.concatenate([1 - p, p], axis=1))
            else:
                found.append(_softmax(group))
        return found


class ColumnLoss:
    """The sum over columns of their cross-entropies, of logits."""

    def __init__(self, columns: list[slice]) -> None:
        self._columns = columns

    def __call__(self, z: NDArray[Any], t: NDArray[Any], weights: Any = None) -> tuple[float, NDArray[Any]]:
        with np.errstate(over="ignore", invalid="ignore"):
            return self._of(z, t, weights)

    def _of(self, z: NDArray[Any], t: NDArray[Any], weights: Any) -> tuple[float, NDArray[Any]]:
        share = np.full(len(z), 1 / len(z)) if weights is None else weights / max(weights.sum(), 1e-300)
        gradient = np.empty_like(z)
        value = 0.0
        for part in self._columns:
            of_logits, of_target = z[:, part], t[:, part]
            if of_logits.shape[1] == 1:
                entropy = np.logaddexp(0, of_logits) - of_target * of_logits
                p = 0.5 + 0.5 * np.tanh(of_logits / 2)
            else:
                p = _softmax(of_logits)
                shifted = of_logits - of_logits.max(axis=1, keepdims=True)
                entropy = np.log(np.exp(shifted).sum(axis=1)) - (of_target * shifted).sum(axis=1)
            value += float(share @ entropy.reshape(-1))
            gradient[:, part] = (p - of_target) * share[:, None]
        return value, gradient


def _softmax(z: NDArray[Any]) -> NDArray[Any]:
    with np.errstate(over="ignore", invalid="ignore"):
        e = np.exp(z - z.max(axis=1, keepdims=True))
        result: NDArray[Any] = e / e.sum(axis=1, keepdims=True)
    return result
