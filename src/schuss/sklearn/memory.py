"""What stochastic training keeps on an estimator, under scikit-learn's names: curves, the best so far, where it was."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from .. import _core

if TYPE_CHECKING:
    from .base import BaseMLP


class Memory:
    """Reads and writes these attributes of an estimator; nothing else does while it trains.

    Beside those that are documented they are ``_no_improvement_count``, how many epochs in a row were not better;
    ``_best``, a copy of the best parameters, or None where the live ones are; and ``_resume``, the best parameters
    that took the place of the live ones when training ended, and those live ones.
    """

    def __init__(self, est: BaseMLP) -> None:
        self._est = est
        self._live = est._network._core.flat_parameters

    def begin(self) -> None:
        """What a first fit starts from."""
        est = self._est
        est.loss_curve_ = []
        est._no_improvement_count = 0
        est._resume = None
        est._best = self._live.copy()
        est.validation_loss_curve_ = None
        if est.early_stopping:
            est.validation_scores_ = []
            est.best_validation_score_ = -np.inf
            est.best_loss_ = None
        else:
            est.best_loss_ = np.inf
            est.validation_scores_ = None
            est.best_validation_score_ = None

    def complete(self, validates: bool) -> None:
        """What is missing where a first fit was by L-BFGS, or of the other kinds, or where weights were set."""
        est = self._est
        state = est.__dict__
        if "loss_curve_" not in state:
            self.begin()
        state.setdefault("_best", None)
        if state.get("validation_loss_curve_") is None:
            est.validation_loss_curve_ = [] if validates else None
        if est.early_stopping and state.get("validation_scores_") is None:
            est.validation_scores_, est.best_validation_score_, est.best_loss_ = [], -np.inf, None
        if not est.early_stopping and est.best_loss_ is None:
            est.best_loss_ = np.inf

    def resume(self) -> None:
        """Go on from where training was, if nobody has changed the best parameters that were put in its place."""
        est = self._est
        saved = est.__dict__.get("_resume")
        if saved is None:
            return
        best, live = saved
        if np.array_equal(self._live, best):
            pair = [self._live], [live]
            est._best, est._resume = best, None
            _core.copy_all(*pair)
        est._resume = None

    def epoch(self, loss: float, rows: int) -> None:
        """An epoch over so many rows."""
        est = self._est
        est.n_iter_ += 1
        est.loss_ = loss
        est.t_ += rows
        est.loss_curve_.append(loss)

    def validation(self, loss: float, score: float | None) -> None:
        """What validation found after it."""
        self._est.validation_loss_curve_.append(loss)
        if score is not None:
            self._est.validation_scores_.append(score)

    def count(self) -> bool:
        """Whether there may be more epochs that are not better than the best, after this one."""
        est = self._est
        if est.early_stopping:
            score = est.validation_scores_[-1]
            worse = score < est.best_validation_score_ + est.tol
            if score > est.best_validation_score_:
                # Stores and one call: no signal handler runs in between.
                best = np.empty_like(self._live) if est._best is None else est._best
                pair = [best], [self._live]
                est.best_validation_score_, est._best = score, best
                _core.copy_all(*pair)
        else:
            loss = est.loss_curve_[-1]
            worse = loss > est.best_loss_ - est.tol
            if loss < est.best_loss_:
                est.best_loss_ = loss
        est._no_improvement_count = est._no_improvement_count + 1 if worse else 0
        return est._no_improvement_count <= est.n_iter_no_change  # type: ignore[no-any-return]

    def forget_count(self) -> None:
        """Patience begins anew."""
        self._est._no_improvement_count = 0

    @property
    def latest(self) -> float:
        """The last epoch's loss: in validation, where there is one."""
        est = self._est
        curve = est.loss_curve_ if est.validation_loss_curve_ is None else est.validation_loss_curve_
        return float(curve[-1])

    def give_up(self, epochs: int) -> None:
        """Nothing is finite any more. The epochs that are left would all be NaN: they are told, not made."""
        est = self._est
        self._live[...] = np.nan
        left = epochs - est.n_iter_
        est.loss_curve_ += [np.nan] * left
        if est.early_stopping:
            est.validation_scores_ += [float("nan")] * (left + 1)
        est.n_iter_ = epochs

    def restore(self, resumes: bool) -> None:
        """The best parameters become the live ones, which are kept for `resume` if that may come."""
        est = self._est
        est._resume = None
        if est._best is None:
            return
        pair = [self._live], [est._best]
        # As in scikit-learn the live ones are from now on the best, until better ones are found.
        est._resume, est._best = (est._best.copy(), self._live.copy()) if resumes else None, None
        _core.copy_all(*pair)
