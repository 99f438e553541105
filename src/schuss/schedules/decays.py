"""Schedules that fall, or rise, along one curve."""

from __future__ import annotations

from ..arguments import flag, integer, learning_rate, number
from .base import LAST_STEP, Formula
from .elementwise import T, exp, log, maximum, minimum, mix, power, sqrt, where, whole_power


class Linear(Formula):
    """A straight line: ``lr + (final_lr - lr) min(t / steps, 1)`` at step t.

    Parameters
    ----------
    lr : float
        At step 0; >= 0.
    steps : int
        When final_lr is reached; >= 1.
    final_lr : float
        From then on; >= 0. May be larger than lr.

    Notes
    -----
    ``torch.optim.lr_scheduler.LinearLR``, whose start_factor and end_factor are multiples of the optimizer's rate.
    Rising, it is the learning rate range test of L. N. Smith, Cyclical Learning Rates for Training Neural Networks
    (2017); over many orders of magnitude `Exponential` serves better.
    """

    lr: float
    steps: int
    final_lr: float

    def __init__(self, lr: float, steps: int, final_lr: float = 0.0) -> None:
        self._set(
            lr=learning_rate("lr", lr),
            steps=integer("steps", steps, 1, LAST_STEP),
            final_lr=learning_rate("final_lr", final_lr),
        )

    def _formula(self, t: T) -> T:
        return mix(self.lr, self.final_lr, minimum(t / self.steps, 1.0))


class Polynomial(Formula):
    """A power of what is left: ``final_lr + (lr - final_lr) (1 - min(t / steps, 1))^power`` at step t.

    Parameters
    ----------
    lr : float
        At step 0; >= 0.
    steps : int
        When final_lr is reached; >= 1.
    power : float
        > 0: 1 is a straight line, more falls faster at first.
    final_lr : float
        From then on; >= 0.

    Notes
    -----
    ``torch.optim.lr_scheduler.PolynomialLR``, which ends at 0, and Keras's and optax's polynomial decay.
    """

    lr: float
    steps: int
    power: float
    final_lr: float

    def __init__(self, lr: float, steps: int, power: float = 1.0, final_lr: float = 0.0) -> None:
        self._set(
            lr=learning_rate("lr", lr),
            steps=integer("steps", steps, 1, LAST_STEP),
            power=number("power", power, "(0, inf)"),
            final_lr=learning_rate("final_lr", final_lr),
        )

    def _formula(self, t: T) -> T:
        return mix(self.final_lr, self.lr, power(1.0 - minimum(t / self.steps, 1.0), self.power))


class Exponential(Formula):
    """Multiplied by gamma every so many steps: ``lr gamma^(t / steps)`` at step t.

    Parameters
    ----------
    lr : float
        At step 0; >= 0.
    gamma : float
        > 0; below 1 it falls, above 1 it rises.
    steps : int
        In how many steps it is multiplied once; >= 1.
    final_lr : float, optional
        Where it stops: no lower if it falls, no higher if it rises. >= 0. Default: nowhere.
    staircase : bool
        Whether the exponent is rounded down, as in `Step`.

    Notes
    -----
    ``torch.optim.lr_scheduler.ExponentialLR``, which has steps=1; Keras's ExponentialDecay, optax's exponential_decay.
    """

    lr: float
    gamma: float
    steps: int
    final_lr: float | None
    staircase: bool

    def __init__(
        self,
        lr: float,
        gamma: float,
        steps: int = 1,
        final_lr: float | None = None,
        *,
        staircase: bool = False,
    ) -> None:
        self._set(
            lr=learning_rate("lr", lr),
            gamma=number("gamma", gamma, "(0, inf)"),
            steps=integer("steps", steps, 1, LAST_STEP),
            final_lr=None if final_lr is None else learning_rate("final_lr", final_lr),
            staircase=flag("staircase", staircase),
        )

    def _formula(self, t: T) -> T:
        if self.staircase or self.steps == 1:
            value = self.lr * whole_power(self.gamma, (t - t % self.steps) / self.steps)
        else:
            value = self.lr * exp(t / self.steps * log(self.gamma))
        if self.final_lr is None:
            return value
        return maximum(value, self.final_lr) if self.gamma < 1.0 else minimum(value, self.final_lr)


class InverseTime(Formula):
    """Hyperbolic: ``lr / (1 + decay t / steps)^power`` at step t.

    Parameters
    ----------
    lr : float
        At step 0; >= 0.
    decay : float
        >= 0.
    steps : int
        In how many steps the sum grows by decay; >= 1.
    power : float
        > 0.
    staircase : bool
        Whether ``t / steps`` is rounded down.

    Notes
    -----
    Sums of it diverge and sums of its squares converge for powers above 1/2 and up to 1: the conditions of H. Robbins,
    S. Monro, A Stochastic Approximation Method (1951). Keras's InverseTimeDecay has power 1; scikit-learn's
    "invscaling" is decay 1 with its ``power_t`` as the power.
    """

    lr: float
    decay: float
    steps: int
    power: float
    staircase: bool

    def __init__(self, lr: float, decay: float, steps: int = 1, power: float = 1.0, *, staircase: bool = False) -> None:
        self._set(
            lr=learning_rate("lr", lr),
            decay=number("decay", decay, "[0, inf)"),
            steps=integer("steps", steps, 1, LAST_STEP),
            power=number("power", power, "(0, inf)"),
            staircase=flag("staircase", staircase),
        )

    def _formula(self, t: T) -> T:
        time = (t - t % self.steps) / self.steps if self.staircase else t / self.steps
        return self.lr / power(1.0 + self.decay * time, self.power)


class InverseSqrt(Formula):
    """Up along a line, then down with the inverse square root: ``lr min(n / w, sqrt(w / n))`` with ``n = t + 1``.

    Parameters
    ----------
    lr : float
        The highest one, at the w-th step; >= 0.
    warmup_steps : int
        w; >= 1. With 1 there is no warm-up.

    Notes
    -----
    The paper counts steps from 1, hence ``t + 1``; its ``d^-0.5 w^-0.5`` is lr. Some libraries count from 0 here, so
    that their first rate is 0.

    References
    ----------
    A. Vaswani et al., Attention Is All You Need (2017), section 5.3.
    """

    lr: float
    warmup_steps: int

    def __init__(self, lr: float, warmup_steps: int) -> None:
        self._set(lr=learning_rate("lr", lr), warmup_steps=integer("warmup_steps", warmup_steps, 1, LAST_STEP))

    def _formula(self, t: T) -> T:
        n = t + 1.0
        w = self.warmup_steps
        return self.lr * where(n < w, n / w, sqrt(w / n))
