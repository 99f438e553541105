"""L-BFGS: a quasi-Newton method that asks for the loss and its gradient itself. The vectors' work is compiled; here are
the arguments, the iteration and the line search, which deal in single numbers."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from .. import _core
from ..arguments import choice, integer, learning_rate, number, shown, unknown_name
from ..habits import hinted, meets
from ..structure import read
from .base import OF_OTHERS
from .parts import become
from .state import TORCH_ONLY, load_schedules, plain, schedules_of, whole_count

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ..structure import Grads, Params
    from .base import LearningRate

    Closure = Callable[[], tuple[Any, Grads]]

# Of the strong Wolfe conditions: how much of the slope a step has to gain, and how much of it may be left.
DECREASE, CURVATURE = 1e-4, 0.9
_VECTORS = 4  # for gradients: a line search holds those of its start and of both ends, and takes one more
_MOST_PAIRS = 1 << 14
_OF_STATE = ("d", "t", "old_dirs", "old_stps", "ro", "H_diag", "prev_flat_grad", "prev_loss")


class Point(NamedTuple):
    """A point x + t d of a line, and what was found there."""

    t: float
    loss: float
    slope: float  # g . d
    total: float  # sum of |g|
    largest: float  # max |g|
    gradient: int  # the vector that holds g
    finite: bool = True


@meets("Optimizer", OF_OTHERS, "lr learning_rate")
class LBFGS:
    """Limited-memory BFGS, a quasi-Newton method: for losses that are smooth and the same at every call.

    An iteration goes along ``d = -H g``, with H the inverse Hessian as the last `history_size` steps show it: from
    ``(y.s / y.y) I``, updated by each pair of a step ``s`` and the change ``y`` of the gradient along it with
    ``y.s > 1e-10``. The first goes along ``d = -g`` by ``min(1, 1 / sum |g|) lr``. Without a line search the step is
    ``lr d``; with "strong_wolfe" it is ``t d``, searched from ``t = lr`` on until
    ``f(t) <= f(0) + 1e-4 t g.d`` and ``|g(t).d| <= 0.9 |g.d|``.

    Parameters
    ----------
    params : array or list of arrays
        What is updated, in place: C-contiguous, writable, all float32 or all float64, none overlapping another. Or
        a list of one dict with "params" and hyperparameters: there is only one group.
    lr : float or callable
        Step length, >= 0, or a schedule: a function of the number of calls of `step` before, from 0.
    max_iter : int
        Iterations in a call of `step`; >= 1.
    max_eval : int, optional
        Calls of the closure in a call of `step`, roughly: no iteration begins after so many. By default
        ``max_iter * 5 // 4``.
    tolerance_grad : float
        `step` ends where no element of the gradient is larger; >= 0.
    tolerance_change : float
        It also ends where neither a parameter nor the loss changes by more; >= 0.
    history_size : int
        Pairs remembered; >= 1.
    line_search_fn : {None, "strong_wolfe"}
        See above.

    Attributes
    ----------
    param_groups : list of one dict
        As torch's: "params" and the hyperparameters. Changed numbers take effect at the next call of `step`.

    Raises
    ------
    ValueError, TypeError
        If an array cannot be updated in place, or a number is out of range.

    Notes
    -----
    The iteration, its arguments and its defaults are those of ``torch.optim.LBFGS``; the two agree up to rounding,
    whose effect grows from iteration to iteration, as that of any change of the start does. They differ where torch
    would go on with NaN: see `step`. Here an iteration that finds no way down counts as a step of length 0; torch's
    counts as one of length `lr` that was not made.

    Inner products are summed in double in a fixed order, so results do not depend on the number of threads. The
    recursion over the pairs is done on their inner products (Chen, Wang, Zhou), so that an iteration reads each vector
    twice, plus some ten vectors of the parameters' size; memory grows up to ``2 history_size + 8`` such vectors.

    References
    ----------
    J. Nocedal, Updating quasi-Newton matrices with limited storage, Mathematics of Computation 35 (1980).
    J. Nocedal, S. J. Wright, Numerical Optimization, 2nd edition (2006), algorithms 7.4, 7.5 and, for the line search,
    3.5 and 3.6, with the cubic interpolation and safeguards of M. Schmidt, minFunc (2005), after J. J. Moré,
    D. J. Thuente, Line search algorithms with guaranteed sufficient decrease (1994). W. Chen, Z. Wang, J. Zhou,
    Large-scale L-BFGS using MapReduce (2014).

    Examples
    --------
    >>> import numpy as np
    >>> x = np.array([-1.2, 1.0])
    >>> def rosenbrock():
    ...     a, b = 1 - x[0], x[1] - x[0] ** 2
    ...     return a * a + 100 * b * b, np.array([-2 * a - 400 * x[0] * b, 200 * b])
    >>> optimizer = LBFGS(x, max_iter=100, line_search_fn="strong_wolfe")
    >>> float(optimizer.step(rosenbrock))
    24.199999999999996
    >>> x.round(6).tolist()
    [1.0, 1.0]
    """

    param_groups: list[dict[str, Any]]

    @hinted("optimizers")
    def __init__(
        self,
        params: Params,
        lr: LearningRate = 1,
        max_iter: int = 20,
        max_eval: int | None = None,
        tolerance_grad: float = 1e-7,
        tolerance_change: float = 1e-9,
        history_size: int = 100,
        line_search_fn: str | None = None,
    ) -> None:
        hyper: dict[str, Any] = {
            "lr": lr,
            "max_iter": max_iter,
            "max_eval": max_eval,
            "tolerance_grad": tolerance_grad,
            "tolerance_change": tolerance_change,
            "history_size": history_size,
            "line_search_fn": line_search_fn,
        }
        entries, options, self._form = read(params)
        if len(options) != 1:
            raise ValueError(f"params must be one group: LBFGS looks at all parameters at once; got {len(options)}")
        arrays, given = [entry.array for entry in entries], options[0]
        for key in given:
            if key not in hyper:
                raise unknown_name("params[0]'s key", key, ["params", *hyper])
        group = _checked({"params": arrays, **hyper, **given})
        self._core = _core.Lbfgs(arrays, group["history_size"], self._form)
        self.param_groups = [group]
        self._steps = self._evaluations = 0
        self._last_loss = 0.0
        self._nonfinite = False

    # -- stepping ----------------------------------------------------------------------------------------------------

    def step(self, closure: Closure) -> float:
        """Make up to `max_iter` iterations.

        Parameters
        ----------
        closure : callable
            ``closure() -> (loss, grads)`` at what the parameters are when it is called: a number, and gradients like
            those of any optimizer's step, an array or a list of arrays as `params` was. They are only read, and copied
            before the next call.

        Returns
        -------
        float
            The first loss: where the parameters were before this step.

        Raises
        ------
        ValueError, TypeError
            If the closure returns something else, or a hyperparameter is out of range.

        Notes
        -----
        Whatever is raised, by the closure too: the parameters are where the last finished iteration left them, the
        optimizer as well, and the next step goes on from there.

        A loss, gradient or parameter that is NaN or infinite sets `nonfinite`. A line search takes such a point for one
        that is too far and goes back by half; without one, and at the very first point, the step ends where the
        parameters were last good. (torch halves only where the loss is +inf, and goes on with NaN.) The last iteration
        without a line search is not evaluated, so its loss may still turn out not to be finite.
        """
        if not callable(closure):
            raise TypeError(f"closure must be a function that returns (loss, grads); got {shown(closure)}")
        group = self.param_groups[0]
        if group["schedule"] is not None:
            group["lr"] = learning_rate(f"lr({self._steps})", group["schedule"](self._steps))
        now = _checked(group)
        if now["history_size"] != self._core.history_size:
            self._core.within(lambda: self._resize(now["history_size"]))
        core = self._core
        loss = core.within(lambda: self._minimize(closure, core, now))
        self._steps += 1
        return loss

    def _minimize(self, closure: Closure, core: _core.Lbfgs, group: Mapping[str, Any]) -> float:
        """The iterations. Wherever it ends, the core goes back to the point that was last said to stay."""
        max_eval, tolerance = group["max_eval"], group["tolerance_change"]

        def trial(t: float, *held: Point) -> Point:
            """The point at t, infinitely high if it is of no use."""
            if not core.move(t):
                self._nonfinite = True
                return Point(t, math.inf, math.nan, math.inf, math.inf, held[0].gradient, finite=False)
            point = self._evaluate(closure, core, t, *held)
            return point if point.finite else point._replace(loss=math.inf)

        self._nonfinite = False
        before = self._evaluations
        now = self._evaluate(closure, core, 0.0)
        first = now.loss
        if not now.finite or now.largest <= group["tolerance_grad"]:
            return first
        for iteration in range(1, group["max_iter"] + 1):
            t = group["lr"] if core.iterations else min(1.0, 1.0 / now.total) * group["lr"]
            slope, longest = core.direction(now.gradient)
            now = now._replace(t=0.0, slope=slope)
            self._last_loss = now.loss
            if not math.isfinite(slope):
                self._nonfinite = True
                break
            if slope > -tolerance:  # no way down
                core.stay(0.0)
                break
            if group["line_search_fn"] is not None and t > 0:
                then = strong_wolfe(trial, now, t, longest, tolerance, max_eval - (self._evaluations - before))
                if then.t == 0:
                    core.restore()
                elif then.t != core.moved:
                    core.move(then.t)
            else:
                if not core.move(t):
                    self._nonfinite = True
                    break
                if iteration == group["max_iter"]:
                    core.stay(t)
                    break
                then = self._evaluate(closure, core, t, now)
                if not then.finite:
                    break
            core.stay(then.t)
            if (
                self._evaluations - before >= max_eval
                or then.largest <= group["tolerance_grad"]
                or longest * then.t <= tolerance
                or abs(then.loss - now.loss) < tolerance
            ):
                break
            now = then
        return first

    def _evaluate(self, closure: Closure, core: _core.Lbfgs, t: float, *held: Point) -> Point:
        """What the closure finds; the gradient goes into a vector that no point held has."""
        used = {core.before, *(point.gradient for point in held)}
        vector = next(k for k in range(_VECTORS) if k not in used)
        result = closure()
        self._evaluations += 1
        if not isinstance(result, (tuple, list)) or len(result) != 2:
            raise TypeError(f"closure must return (loss, grads); got {shown(result)}")
        loss = _loss(result[0])
        finite, slope, total, largest = core.gather(self._form.flatten(result[1]), vector)
        finite = finite and math.isfinite(loss)
        self._nonfinite |= not finite
        return Point(t, loss, slope, total, largest, vector, finite)

    @property
    def nonfinite(self) -> bool:
        """Whether the last step met a loss, gradient or parameter that was NaN or infinite."""
        return self._nonfinite

    @property
    def steps(self) -> int:
        """Calls of `step` so far that raised nothing."""
        return self._steps

    # -- state -------------------------------------------------------------------------------------------------------

    def _state(self) -> dict[str, Any]:
        """The state as torch names it. The arrays are the core's own."""
        core = self._core
        counts = {"func_evals": self._evaluations, "n_iter": core.iterations, "step": self._steps}
        if not core.iterations:
            return counts
        steps, changes, rho, scale, direction, gradient, t = core.state
        return {
            **counts,
            "d": direction,
            "t": t,
            "old_dirs": changes,
            "old_stps": steps,
            "ro": rho,
            "H_diag": scale,
            "prev_flat_grad": gradient,
            "prev_loss": self._last_loss,
            "al": [None] * core.history_size,
        }

    def state_dict(self) -> dict[str, Any]:
        """The optimizer's numbers in the shape of torch's state_dict.

        Returns
        -------
        dict
            ``{"state": {0: {"n_iter": ..., "d": array, ...}}, "param_groups": [{..., "params": [0, ...]}]}``. Vectors
            are all parameters laid end to end: "d" the direction, "t" the step's length along it, "old_stps" and
            "old_dirs" the steps s and changes y of the gradient, oldest first, "ro" each 1 / y.s, "H_diag" the y.s /
            y.y of the last, "prev_flat_grad" and "prev_loss" those at the start of the step; "al" is work space of
            torch's. Beside torch's entries there is "step", the calls of `step`, and "schedules" where there
            is one that can be data.
        """
        state = {
            key: [_copied(part) for part in value] if isinstance(value, list) else _copied(value)
            for key, value in self._state().items()
        }
        group = self.param_groups[0]
        entry = {key: value for key, value in group.items() if key not in ("params", "schedule")}
        entries = [{**entry, "params": list(range(len(group["params"])))}]
        return {"state": {0: state}, "param_groups": entries, **schedules_of(self.param_groups)}

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Take over the numbers of a state_dict, torch's own included. Everything is checked first, then copied.

        A "schedule" of this optimizer stays where the state has none. A state without "step" (torch's) counts as step 1
        if there was an iteration, else 0. The pairs are multiplied with one another anew, which takes the time of as
        many iterations.

        Raises
        ------
        ValueError, TypeError
            If names, shapes or dtypes do not fit. Nothing has changed.
        """
        if not isinstance(state_dict, Mapping) or not {"state", "param_groups"} <= set(state_dict):
            raise ValueError(f"state_dict must be a dict with 'state' and 'param_groups'; got {shown(state_dict)}")
        groups, states = state_dict["param_groups"], state_dict["state"]
        if not isinstance(groups, (list, tuple)) or len(groups) != 1 or not isinstance(groups[0], Mapping):
            raise ValueError(f"state_dict['param_groups'] must be a list of one dict; got {shown(groups)}")
        if not isinstance(states, Mapping):
            raise TypeError(f"state_dict['state'] must be a dict; got {shown(states)}")
        mine = self.param_groups[0]
        ids = list(groups[0].get("params", ()))
        if len(ids) != len(mine["params"]):
            raise ValueError(f"state_dict's param_groups[0] must have {len(mine['params'])} params; got {len(ids)}")
        group = dict(mine)
        for key, value in groups[0].items():
            if key in mine and key not in ("params", "schedule"):
                group[key] = plain(value)
            elif key not in ("params", "schedule") and key not in TORCH_ONLY:
                group[key] = value  # the user's, or a scheduler's
        group = {**group, **_checked(group)}
        load_schedules([group], state_dict)
        for key in states:
            if key != ids[0]:
                raise ValueError(f"state_dict's state has an entry {key!r}; LBFGS has one, of the first parameter")
        where, entry = f"state_dict's state[{ids[0]!r}]", states.get(ids[0], {})
        self._core.within(lambda: self._take_state(where, entry, group, mine))

    def _take_state(self, where: str, entry: Any, group: dict[str, Any], live: dict[str, Any]) -> None:
        """A new core over the same parameters, filled; then both it and its group take the old ones' place."""
        if not isinstance(entry, Mapping):
            raise TypeError(f"{where} must be a dict; got {shown(entry)}")
        known = ("func_evals", "n_iter", "step", "al", *_OF_STATE)
        for key in entry:
            if key not in known:
                raise unknown_name(f"{where} has an entry that", key, known)
        iterations = whole_count(f"{where}['n_iter']", entry.get("n_iter", 0))
        evaluations = whole_count(f"{where}['func_evals']", entry.get("func_evals", 0))
        steps = whole_count(f"{where}['step']", entry.get("step", min(iterations, 1)))
        params, size = group["params"], group["history_size"]
        core = _core.Lbfgs(params, size, self._form)
        loss = 0.0
        if iterations:
            missing = [key for key in _OF_STATE if entry.get(key) is None]
            if missing:
                raise ValueError(
                    f"{where} must have {', '.join(_OF_STATE)} after an iteration; {missing[0]} is missing"
                )
            lists = [entry[key] for key in ("old_stps", "old_dirs", "ro")]
            if not all(isinstance(part, (list, tuple)) and len(part) == len(lists[0]) for part in lists):
                raise ValueError(f"{where} must have old_stps, old_dirs and ro that are lists of one length")
            if len(lists[0]) > size:
                raise ValueError(f"{where} must have at most history_size={size} pairs; got {len(lists[0])}")
            n, dtype = sum(p.size for p in params), params[0].dtype
            steps_made, changes = (
                [_vector(f"{where}[{key!r}][{k}]", value, n, dtype) for k, value in enumerate(entry[key])]
                for key in ("old_stps", "old_dirs")
            )
            direction, gradient = (
                _vector(f"{where}[{key!r}]", entry[key], n, dtype) for key in ("d", "prev_flat_grad")
            )
            rho = [number(f"{where}['ro'][{k}]", plain(value), "(0, inf)") for k, value in enumerate(entry["ro"])]
            scale = number(f"{where}['H_diag']", plain(entry["H_diag"]), "(0, inf)")
            t = number(f"{where}['t']", plain(entry["t"]), "[0, inf)")
            loss = number(f"{where}['prev_loss']", plain(entry["prev_loss"]), "(-inf, inf)")
            core.load(steps_made, changes, rho, scale, direction, gradient, t, iterations)
        # As one whole: signal handlers run after calls, not between these.
        self._core = core
        self._steps, self._evaluations, self._last_loss = steps, evaluations, loss
        live.update(group)

    def _resize(self, history_size: int) -> None:
        """A new core with room for other than so many pairs; of more, the newest are kept."""
        core = _core.Lbfgs(self.param_groups[0]["params"], history_size, self._form)
        if self._core.iterations:
            steps, changes, rho, scale, direction, gradient, t = self._core.state
            newest = slice(max(0, len(rho) - history_size), None)
            of_pairs = steps[newest], changes[newest], rho[newest]
            core.load(*of_pairs, scale, direction, gradient, t, self._core.iterations)
        self._core = core

    def __getstate__(self) -> dict[str, Any]:
        return {"group": self.param_groups[0], "form": self._form, "state": self._state()}

    def __setstate__(self, state: dict[str, Any]) -> None:
        """A pickle or a deep copy carries its own parameters."""
        become(self, LBFGS._fill, state)

    def _fill(self, state: dict[str, Any]) -> None:
        group = state["group"]
        self._form = state["form"]
        group["params"] = [p if p.flags.carray else np.array(p, order="C") for p in group["params"]]
        self.param_groups = [group]
        self._nonfinite = False
        self._take_state("state", state["state"], group, group)

    def __copy__(self) -> LBFGS:
        raise TypeError("two optimizers cannot share their arrays: use copy.deepcopy")

    def __repr__(self) -> str:
        group = self.param_groups[0]
        shapes = ", ".join(str(p.shape) for p in group["params"][:4])
        more = ", ..." if len(group["params"]) > 4 else ""
        hyper = ", ".join(f"{key}={value!r}" for key, value in group.items() if key not in ("params", "schedule"))
        return f"LBFGS([{shapes}{more}], {hyper})"


# ---- the line search -------------------------------------------------------------------------------------------------


def strong_wolfe(
    trial: Callable[..., Point], start: Point, t: float, longest: float, tolerance: float, most: int
) -> Point:
    """A point that meets the strong Wolfe conditions, or the best there is after 1 + most trials.

    trial(t, *held) gives the point at t; the gradients of the points held must stay. A point of no use has an infinite
    loss, so it ends a bracket. longest: max |d|; a bracket in which no parameter moves by `tolerance` is given up.
    """

    def too_high(point: Point) -> bool:
        return point.loss > start.loss + DECREASE * point.t * start.slope

    def flat(point: Point) -> bool:
        return abs(point.slope) <= -CURVATURE * start.slope

    # Algorithm 3.5: go on until an interval must hold such a point.
    before, now = start, trial(t, start)
    for trials in range(most):
        if too_high(now) or (trials > 1 and now.loss >= before.loss):
            break
        if flat(now):
            return now
        if now.slope >= 0:
            break
        t = cubic_minimum(before, now, now.t + 0.01 * (now.t - before.t), 10 * now.t)
        before, now = now, trial(t, start, now)
    else:
        return start if start.loss <= now.loss else now

    # Algorithm 3.6: make it smaller. ends[low] is the better end.
    ends = [before, now]
    low = 0 if before.loss <= now.loss else 1
    near_an_end = False
    for _ in range(trials, most):
        left, right = sorted((ends[0].t, ends[1].t))
        width = right - left
        if width == 0 or width * longest < tolerance:
            break
        t = cubic_minimum(ends[0], ends[1], left, right)
        margin = 0.1 * width
        if min(right - t, t - left) >= margin:
            near_an_end = False
        elif near_an_end or t >= right or t <= left:  # twice in turn, or at it: that far from it
            t = right - margin if right - t < t - left else left + margin
            near_an_end = False
        else:
            near_an_end = True
        now = trial(t, start, *ends)
        if too_high(now) or now.loss >= ends[low].loss:
            ends[1 - low] = now
            low = 0 if ends[0].loss <= ends[1].loss else 1
            continue
        if flat(now):
            return now
        if now.slope * (ends[1 - low].t - ends[low].t) >= 0:
            ends[1 - low] = ends[low]
        ends[low] = now
    return ends[low]


def cubic_minimum(a: Point, b: Point, left: float, right: float) -> float:
    """Where the cubic through both points' losses and slopes is least, within [left, right]; its middle if nowhere."""
    if a.t > b.t:
        a, b = b, a
    middle = (left + right) / 2
    bend = a.slope + b.slope - 3 * (a.loss - b.loss) / (a.t - b.t)
    square = bend * bend - a.slope * b.slope
    if not square >= 0:
        return middle
    root = math.sqrt(square)
    divisor = b.slope - a.slope + 2 * root
    t = b.t - (b.t - a.t) * ((b.slope + root - bend) / divisor) if divisor else math.nan
    return middle if math.isnan(t) else min(max(t, left), right)


# ---- checks ----------------------------------------------------------------------------------------------------------


def _checked(group: Mapping[str, Any]) -> dict[str, Any]:
    """The group with its numbers in range, and what follows from others filled in."""
    lr, schedule = group["lr"], group.get("schedule")
    if callable(lr):
        lr, schedule = lr(0), lr
    max_iter = integer("max_iter", group["max_iter"], 1)
    max_eval = group["max_eval"]
    search = group["line_search_fn"]
    return {
        "params": group["params"],
        "lr": learning_rate("lr" if schedule is None else "lr(0)", lr),
        "max_iter": max_iter,
        "max_eval": max_iter * 5 // 4 if max_eval is None else integer("max_eval", max_eval, 1),
        "tolerance_grad": number("tolerance_grad", group["tolerance_grad"], "[0, inf)"),
        "tolerance_change": number("tolerance_change", group["tolerance_change"], "[0, inf)"),
        "history_size": integer("history_size", group["history_size"], 1, _MOST_PAIRS),
        "line_search_fn": None if search is None else choice("line_search_fn", search, ("strong_wolfe",)),
        "schedule": schedule,
    }


def _loss(value: Any) -> float:
    if not isinstance(value, (str, bytes)) and not (isinstance(value, np.ndarray) and value.ndim):
        try:
            return float(value)
        except (TypeError, ValueError):
            pass
    raise TypeError(f"closure must return (loss, grads) with a number as loss; got {shown(value)}")


def _copied(value: Any) -> Any:
    return value.copy() if isinstance(value, np.ndarray) else value


def _vector(name: str, value: Any, n: int, dtype: np.dtype[Any]) -> NDArray[Any]:
    array = np.asarray(value)
    if array.shape != (n,) or array.dtype != dtype:
        raise ValueError(f"{name} must be {dtype} of shape ({n},); got {array.dtype} of shape {array.shape}")
    return array
