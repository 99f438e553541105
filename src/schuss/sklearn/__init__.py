"""scikit-learn's multi-layer perceptrons, compiled: the same arguments, the same results, and what was asked for.

And estimators for tables as they are, `TabularClassifier` and `TabularRegressor`, for sequences, `SequenceClassifier`
and `SequenceRegressor`, and for images, `ImageClassifier`. Needs scikit-learn.
``docs/sklearn.md`` says what all of these estimators can.
"""

from typing import TYPE_CHECKING

try:
    import sklearn  # noqa: F401
except ImportError:
    raise ImportError("schuss.sklearn needs scikit-learn: pip install 'schuss[sklearn]'") from None

from .classifier import MLPClassifier
from .regressor import MLPRegressor

if TYPE_CHECKING:
    from .images import ImageClassifier
    from .sequences import SequenceClassifier, SequenceRegressor
    from .tabular import TabularClassifier, TabularRegressor

_WHERE = {
    "ImageClassifier": "images",
    "SequenceClassifier": "sequences",
    "SequenceRegressor": "sequences",
    "TabularClassifier": "tabular",
    "TabularRegressor": "tabular",
}

__all__ = [
    "ImageClassifier",
    "MLPClassifier",
    "MLPRegressor",
    "SequenceClassifier",
    "SequenceRegressor",
    "TabularClassifier",
    "TabularRegressor",
]


def __getattr__(name: str) -> object:
    """Load what is for tables, sequences and images when it is first asked for."""
    if name in _WHERE:
        from importlib import import_module

        found = globals()[name] = getattr(import_module(f".{_WHERE[name]}", __name__), name)
        return found
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
