"""Schedules of cosines and of triangles: once, or again and again."""

from __future__ import annotations

from ..arguments import choice, flag, integer, learning_rate, number
from .base import LAST_STEP, Formula
from .elementwise import T, count, floor, half_cosine, log2, maximum, minimum, mix, take, where, whole_power

# What a phase without length counts as, so that nothing is divided by 0.
_TINY = 1e-300


class Cosine(Formula):
    """Half a cosine down: ``final_lr + (lr - final_lr) (1 + cos(pi min(t / steps, 1))) / 2`` at step t.

    With ``warmup_steps = w`` it is ``lr t / w`` at the first w steps, and the half cosine goes from step w to steps.

    Parameters
    ----------
    lr : float
        The highest one; >= 0.
    steps : int
        When final_lr is reached, the warm-up included; >= 1.
    final_lr : float
        From then on; >= 0.
    warmup_steps : int
        From 0 to steps - 1. `WarmUp` has more to choose from.
    periodic : bool
        Rather than staying there it goes up again, with a period of twice the half cosine.

    Notes
    -----
    ``torch.optim.lr_scheduler.CosineAnnealingLR`` with T_max=steps and eta_min=final_lr is the periodic one; Keras's
    and optax's stay at the end, whose alpha is ``final_lr / lr``. Keras's decay_steps leave out the warm-up.

    References
    ----------
    I. Loshchilov, F. Hutter, SGDR: Stochastic Gradient Descent with Warm Restarts (2017).
    """

    lr: float
    steps: int
    final_lr: float
    warmup_steps: int
    periodic: bool

    def __init__(
        self, lr: float, steps: int, final_lr: float = 0.0, *, warmup_steps: int = 0, periodic: bool = False
    ) -> None:
        steps = integer("steps", steps, 1, LAST_STEP)
        self._set(
            lr=learning_rate("lr", lr),
            steps=steps,
            final_lr=learning_rate("final_lr", final_lr),
            warmup_steps=integer("warmup_steps", warmup_steps, 0, steps - 1),
            periodic=flag("periodic", periodic),
        )

    def _formula(self, t: T) -> T:
        w = self.warmup_steps
        half = self.steps - w
        since = where(t < w, t * 0.0, t - w)
        if self.periodic:
            since = since % (2 * half)
            since = where(since <= half, since, 2 * half - since)
        value = mix(self.final_lr, self.lr, half_cosine(minimum(since / half, 1.0)))
        return where(t < w, self.lr * (t / w), value) if w else value


class CosineRestarts(Formula):
    """Half a cosine down, then from the top again: ``min_lr + (top - min_lr) (1 + cos(pi u / length)) / 2``.

    Here u counts the steps of the k-th cycle (from 0), whose length is ``steps t_mult^k`` and whose top is
    ``min_lr + (lr - min_lr) lr_mult^k``.

    Parameters
    ----------
    lr : float
        The top of the first cycle; >= 0.
    steps : int
        Length of the first cycle; >= 1.
    t_mult : int
        How many times longer each cycle is than the one before; >= 1.
    min_lr : float
        Towards which it falls, from 0 to lr. Not reached: the next cycle begins instead.
    lr_mult : float
        How much of its height each cycle has of the one before; in (0, 1].

    Notes
    -----
    ``torch.optim.lr_scheduler.CosineAnnealingWarmRestarts`` with T_0=steps, T_mult=t_mult, eta_min=min_lr. Keras's
    CosineDecayRestarts has t_mul and m_mul, and alpha = ``min_lr / lr``.

    References
    ----------
    I. Loshchilov, F. Hutter, SGDR: Stochastic Gradient Descent with Warm Restarts (2017).
    """

    lr: float
    steps: int
    t_mult: int
    min_lr: float
    lr_mult: float
    _starts: tuple[float, ...]

    def __init__(self, lr: float, steps: int, t_mult: int = 1, min_lr: float = 0.0, *, lr_mult: float = 1.0) -> None:
        lr = learning_rate("lr", lr)
        steps = integer("steps", steps, 1, LAST_STEP)
        t_mult = integer("t_mult", t_mult, 1, LAST_STEP)
        starts, length = [0.0], steps
        while t_mult > 1 and starts[-1] < LAST_STEP:
            starts.append(starts[-1] + length)
            length *= t_mult
        self._set(
            lr=lr,
            steps=steps,
            t_mult=t_mult,
            min_lr=number("min_lr", min_lr, f"[0, {lr!r}]"),
            lr_mult=number("lr_mult", lr_mult, "(0, 1]"),
            _starts=tuple(starts),
        )

    def _formula(self, t: T) -> T:
        if self.t_mult == 1:
            u = t % self.steps
            k, length = (t - u) / self.steps, u * 0.0 + self.steps
        else:
            cycle = count(self._starts, t) - 1
            k = t * 0.0 + cycle
            u, length = t - take(self._starts, cycle), self.steps * whole_power(float(self.t_mult), k)
        top = self.min_lr + (self.lr - self.min_lr) * whole_power(self.lr_mult, k) if self.lr_mult < 1.0 else self.lr
        return mix(self.min_lr, top, half_cosine(u / length))


class CosLog(Formula):
    """Waves from 0 up to lr and back, each twice as long as the one before.

    ``lr (1 - cos(2 pi log2(1 + (2^cycles - 1) min(t / steps, 1)))) / 2`` at step t.

    Parameters
    ----------
    lr : float
        The top of each wave; >= 0.
    steps : int
        Of all waves together; >= 1. After them it stays at 0.
    cycles : int
        How many waves; from 1 to 50.

    Notes
    -----
    pytabkit's "coslog4" is that of 4 cycles. The rate at step 0 is 0.

    References
    ----------
    D. Holzmueller, L. Grinsztajn, I. Steinwart, Better by Default: Strong Pre-Tuned MLPs and Boosted Trees on Tabular
    Data (2024).
    """

    lr: float
    steps: int
    cycles: int

    def __init__(self, lr: float, steps: int, cycles: int = 4) -> None:
        self._set(
            lr=learning_rate("lr", lr),
            steps=integer("steps", steps, 1, LAST_STEP),
            cycles=integer("cycles", cycles, 1, 50),
        )

    def _formula(self, t: T) -> T:
        waves = log2(1.0 + (2.0**self.cycles - 1.0) * minimum(t / self.steps, 1.0))
        since = waves - floor(waves)
        return self.lr * half_cosine(where(since < 0.5, 1.0 - 2.0 * since, 2.0 * since - 1.0))


class FlatCos(Formula):
    """The same for a share of the steps, then half a cosine down: ``final_lr + (lr - final_lr) (1 + cos(pi u)) / 2``.

    Here u is 0 until step ``flat steps``, and rises to 1 at step ``steps``, where it stays.

    Parameters
    ----------
    lr : float
        At first; >= 0.
    steps : int
        When final_lr is reached; >= 1.
    flat : float
        Share of the steps before it falls; in [0, 1).
    final_lr : float
        From then on; >= 0.

    Notes
    -----
    pytabkit's "flat_cos".
    """

    lr: float
    steps: int
    flat: float
    final_lr: float

    def __init__(self, lr: float, steps: int, flat: float = 0.5, final_lr: float = 0.0) -> None:
        self._set(
            lr=learning_rate("lr", lr),
            steps=integer("steps", steps, 1, LAST_STEP),
            flat=number("flat", flat, "[0, 1)"),
            final_lr=learning_rate("final_lr", final_lr),
        )

    def _formula(self, t: T) -> T:
        since = maximum(minimum(t / self.steps, 1.0) - self.flat, 0.0)
        return mix(self.final_lr, self.lr, half_cosine(minimum(since / (1.0 - self.flat), 1.0)))


class OneCycle(Formula):
    """Up and then far down, once.

    From ``max_lr / div_factor`` at step 0 to max_lr at step ``pct_start total_steps - 1``, and down to
    ``max_lr / div_factor / final_div_factor`` at step ``total_steps - 1``, where it stays. With three phases it is back
    where it started at step ``2 pct_start total_steps - 2``, and falls on from there.

    Parameters
    ----------
    max_lr : float
        The highest one; >= 0.
    total_steps : int
        >= 1.
    pct_start : float
        Share of the steps in which it rises: in [0, 1], with three phases in [0, 0.5].
    anneal_strategy : {"cos", "linear"}
        Half cosines or straight lines.
    div_factor, final_div_factor : float
        How many times lower it starts, and ends below its start; > 0.
    three_phase : bool
        Whether the way down has two parts.

    Notes
    -----
    ``torch.optim.lr_scheduler.OneCycleLR``, which fails after its last step, and cycles the momentum too if not told
    otherwise.

    References
    ----------
    L. N. Smith, N. Topin, Super-Convergence: Very Fast Training of Neural Networks Using Large Learning Rates (2018).
    The paper has three phases; two are fastai's.
    """

    max_lr: float
    total_steps: int
    pct_start: float
    anneal_strategy: str
    div_factor: float
    final_div_factor: float
    three_phase: bool
    _ends: tuple[float, ...]
    _lrs: tuple[float, ...]

    def __init__(
        self,
        max_lr: float,
        total_steps: int,
        pct_start: float = 0.3,
        anneal_strategy: str = "cos",
        div_factor: float = 25.0,
        final_div_factor: float = 1e4,
        three_phase: bool = False,
    ) -> None:
        max_lr = learning_rate("max_lr", max_lr)
        total_steps = integer("total_steps", total_steps, 1, LAST_STEP)
        three_phase = flag("three_phase", three_phase)
        interval = "[0, 0.5]" if three_phase else "[0, 1]"
        pct_start = number("pct_start" + " with three_phase" * three_phase, pct_start, interval)
        div_factor = number("div_factor", div_factor, "(0, inf)")
        final_div_factor = number("final_div_factor", final_div_factor, "(0, inf)")
        first = learning_rate("max_lr / div_factor", max_lr / div_factor)
        last = learning_rate("max_lr / div_factor / final_div_factor", first / final_div_factor)
        rise = pct_start * total_steps
        ends, lrs = [0.0, rise - 1.0], [first, max_lr]
        if three_phase:
            ends.append(2.0 * rise - 2.0)
            lrs.append(first)
        while len(ends) > 1 and ends[1] == 0.0:  # a phase without length
            del ends[0], lrs[0]
        self._set(
            max_lr=max_lr,
            total_steps=total_steps,
            pct_start=pct_start,
            anneal_strategy=choice("anneal_strategy", anneal_strategy, ("cos", "linear")),
            div_factor=div_factor,
            final_div_factor=final_div_factor,
            three_phase=three_phase,
            _ends=(*ends, total_steps - 1.0),
            _lrs=(*lrs, last),
        )

    def _formula(self, t: T) -> T:
        t = minimum(t, self.total_steps - 1.0)
        k = count(self._ends[1:-1], t, at=False)
        start, end = take(self._ends, k), take(self._ends, k + 1)
        share: T = (t - start) / maximum(t * 0.0 + (end - start), _TINY)
        left = half_cosine(share) if self.anneal_strategy == "cos" else 1.0 - share
        return mix(take(self._lrs, k + 1), take(self._lrs, k), left)


class Cyclic(Formula):
    """Triangles between two rates: ``base_lr + (max_lr - base_lr) h s`` at step t.

    h rises from 0 to 1 within step_size_up steps and falls back within step_size_down; s is 1 for "triangular",
    ``1 / 2^k`` in the k-th cycle (from 0) for "triangular2", and ``gamma^t`` for "exp_range".

    Parameters
    ----------
    base_lr : float
        At step 0; >= 0.
    max_lr : float
        >= base_lr.
    step_size_up : int
        >= 1.
    step_size_down : int, optional
        >= 1. Default: step_size_up.
    mode : {"triangular", "triangular2", "exp_range"}
    gamma : float
        In (0, 1]; for "exp_range".

    Notes
    -----
    ``torch.optim.lr_scheduler.CyclicLR``, which cycles the momentum too if not told otherwise.

    References
    ----------
    L. N. Smith, Cyclical Learning Rates for Training Neural Networks (2017).
    """

    base_lr: float
    max_lr: float
    step_size_up: int
    step_size_down: int
    mode: str
    gamma: float

    def __init__(
        self,
        base_lr: float,
        max_lr: float,
        step_size_up: int = 2000,
        step_size_down: int | None = None,
        mode: str = "triangular",
        gamma: float = 1.0,
    ) -> None:
        base_lr = learning_rate("base_lr", base_lr)
        up = integer("step_size_up", step_size_up, 1, LAST_STEP)
        self._set(
            base_lr=base_lr,
            max_lr=number("max_lr", max_lr, f"[{base_lr!r}, inf)"),
            step_size_up=up,
            step_size_down=up if step_size_down is None else integer("step_size_down", step_size_down, 1, LAST_STEP),
            mode=choice("mode", mode, ("triangular", "triangular2", "exp_range")),
            gamma=number("gamma", gamma, "(0, 1]"),
        )

    def _formula(self, t: T) -> T:
        up, down = self.step_size_up, self.step_size_down
        u = t % (up + down)
        height = where(u <= up, u / up, (up + down - u) / down)
        if self.mode == "triangular2":
            height = height * whole_power(0.5, (t - u) / (up + down))
        elif self.mode == "exp_range":
            height = height * whole_power(self.gamma, t)
        return mix(self.base_lr, self.max_lr, height)
