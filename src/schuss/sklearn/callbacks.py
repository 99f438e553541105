"""scikit-learn's callbacks, from 1.9 on: one task an epoch, or an iteration. Older versions have none."""

from __future__ import annotations

from typing import Any

try:
    from sklearn.callback import CallbackSupportMixin
except ImportError:

    class CallbackSupportMixin:  # type: ignore[no-redef]
        """Nothing to support."""


__all__ = ["CallbackSupportMixin", "Tasks"]


class Tasks:
    """The tasks of one fit. Without callbacks it does nothing, and costs nothing.

    The estimator's `_as_it_is` gives what a copy of it needs in order to predict as it would now.
    """

    def __init__(self, estimator: Any, X: Any, y: Any, sample_weight: Any, epochs: int) -> None:
        self._estimator = estimator
        self._context = None
        if not getattr(estimator, "_skl_callbacks", None):
            return
        metadata = {} if sample_weight is None else {"sample_weight": sample_weight}
        self._data = {"X": X, "y": y, "metadata": metadata}
        self._context = estimator._init_callback_context(max_subtasks=epochs)
        self._context.call_on_fit_task_begin(estimator=estimator, **self._data)

    @property
    def wanted(self) -> bool:
        """Whether there is anybody to call."""
        return self._context is not None

    def begin(self) -> None:
        """Begin an epoch."""
        if self._context is not None:
            self._epoch = self._context.subcontext(task_name="epoch")
            self._epoch.call_on_fit_task_begin(estimator=self._estimator, **self._data)

    def end(self) -> bool:
        """End it; whether a callback asks to stop."""
        if self._context is None:
            return False
        return bool(
            self._epoch.call_on_fit_task_end(
                estimator=self._estimator, **self._data, reconstruction_attributes=self._estimator._as_it_is
            )
        )

    def finish(self) -> None:
        """End the fit."""
        if self._context is not None:
            self._context.call_on_fit_task_end(
                estimator=self._estimator, **self._data, reconstruction_attributes=self._estimator._as_it_is
            )
