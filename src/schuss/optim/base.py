"""Optimizers, stepped in place over arrays of the caller's. The update rules are compiled; here are their arguments.

Arguments, defaults and formulas are those of ``torch.optim``.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from .. import _core
from ..arguments import choice, flag, integer, learning_rate, scheduled, shown, unknown_name
from ..errors import DivergenceError
from ..habits import hinted, meets
from ..structure import read, without_decay
from . import bitsandbytes
from .parts import OfParts
from .precision import Precision, checked
from .state import NOT_HYPER, SCHEDULES, TORCH_ONLY, WHERE_SET, described, loading

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from .._core import Calls
    from ..structure import Entry, Grads, NoDecay, Params, Structure

    # Also of weight decay.
    LearningRate = float | Callable[[int], float]

# Attributes of other libraries' optimizers, see `habits`.
OF_OTHERS = "zero_grad apply_gradients minimize update init iterations add_param_group get_config"


@meets("Optimizer", OF_OTHERS, "lr learning_rate")
class Optimizer(OfParts):
    """What all optimizers share.

    Attributes
    ----------
    param_groups : list of dict
        As torch's: "params" (a list of arrays) and the group's hyperparameters. Changed numbers take effect at the
        next step. Entries of your own are not looked at. "rows" and "products" are there where they are not None.
        "schedule" holds a callable learning rate, or None; while it is set, each step writes "lr" first.
        "decay_schedule", where it is there, is the same for "weight_decay". Which arrays a group has is fixed.
    """

    _name: ClassVar[str]
    _rule: ClassVar[str]
    _decoupled: ClassVar[bool] = False
    # What it is given beside parameters and lr where it is asked for by its name, for a network.
    _of_network: ClassVar[Mapping[str, Any]] = {}

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        if "__init__" in vars(cls):
            cls.__init__ = hinted("optimizers")(vars(cls)["__init__"])  # type: ignore[method-assign]

    def __init__(self, params: Params, *, no_decay: NoDecay = None, **defaults: Any) -> None:
        entries, options, form = read(params)
        entries, options = self._placed(entries, options, form)
        if no_decay is not None and no_decay is not False:
            if "weight_decay" not in defaults:
                raise ValueError(f"no_decay must not be given: {type(self).__name__} has no weight_decay")
            entries, options = without_decay(entries, options, no_decay)
        groups = []
        for index, given in enumerate(options):
            known = self._defaults_of(given, defaults)
            for key in given:
                if key not in known and key != "lr_factor":
                    raise unknown_name(f"params[{index}]'s key", key, ["params", *known])
            arrays = [entry.array for entry in entries if entry.group == index]
            groups.append(self._group(arrays, {**known, **given}))
        self._begin(groups, [entry.group for entry in entries], form)

    # -- construction ------------------------------------------------------------------------------------------------

    def _placed(
        self, entries: list[Entry], options: list[dict[str, Any]], form: Structure
    ) -> tuple[list[Entry], list[dict[str, Any]]]:
        """The parameters and what groups were given, with some parameters moved to groups of their own, perhaps."""
        return entries, options

    def _defaults_of(self, given: Mapping[str, Any], defaults: Mapping[str, Any]) -> Mapping[str, Any]:
        """The hyperparameters of a group that was given these."""
        return defaults

    def _rule_of(self, given: Mapping[str, Any]) -> str:
        """The core's rule for a group of these hyperparameters."""
        return self._rule

    def _group(self, arrays: list[NDArray[Any]], given: Mapping[str, Any]) -> dict[str, Any]:
        """A checked group. A callable lr becomes the schedule, and its first value the lr; so does a weight_decay."""
        rule = self._rule_of(given)
        settings = {name: value for name, value in given.items() if name not in self._own_flags}
        schedules = {name: settings[name] for name in SCHEDULES if callable(settings.get(name))}
        for name, schedule in schedules.items():
            settings[name] = scheduled(f"{name}(0)", schedule(0))
        checked = _core.checked_settings(rule, settings)
        group = {"params": arrays, **given, **checked}
        group = {name: value for name, value in group.items() if value is not None or name not in WHERE_SET}
        for name in self._own_flags:
            group[name] = flag(name, group[name])
        group.update(schedule=schedules.get("lr"), rule=rule)
        if "weight_decay" in schedules:
            group["decay_schedule"] = schedules["weight_decay"]
        if self._decoupled:
            group["decoupled"] = True
        return group

    # -- stepping ----------------------------------------------------------------------------------------------------

    def step(
        self,
        grads: Grads,
        *,
        lr: float | None = None,
        grad_scale: float = 1.0,
        clip_norm: float | None = None,
        clip_value: float | None = None,
        zero_grad: bool = False,
        on_nonfinite: str = "flag",
    ) -> None:
        """Update every parameter in place, once.

        All of it is one pass over memory: each piece of the arrays is unscaled, clipped, decayed, updated, averaged and
        zeroed while it is in cache. Only ``clip_norm`` and ``on_nonfinite`` other than "flag" read the gradients once
        before.

        Parameters
        ----------
        grads : array, list or dict of arrays, or a list of these for each group
            In the form in which the parameters were given, or as a flat list in their order. Each has its parameter's
            shape and is float32, float64, float16 or bfloat16 (with ``rows="exact"`` of its parameter's dtype), or is a
            `Rows`. NumPy arrays or other memory of the CPU (torch, jax, ...). Only read, unless ``zero_grad``. Where
            one is None the parameter is left out of the step, see the notes.
        lr : float, optional
            The learning rate of all groups for this step alone; >= 0.
        grad_scale : float
            Gradients are multiplied by this first: 1 / the loss scale, 1 / the number of summed batches.
        clip_norm : float, optional
            Then scale them down to this norm if theirs, over all of them, is larger.
        clip_value : float, optional
            Before that, limit each gradient element to [-clip_value, clip_value].
        zero_grad : bool
            Leave zeros in the gradients, which must be writable and contiguous then, and share no memory.
        on_nonfinite : {"flag", "raise", "skip"}
            What a NaN or infinite gradient does. "flag": the update is made, and `nonfinite` tells afterwards, which
            costs nothing. It spoils its own parameter; with `LARS`, `LAMB` and `NovoGrad`, which take norms, the whole
            array; with `Prodigy` d grows no more. "raise", "skip": the gradients are read once before the update (1/7
            more memory traffic for Adam on large arrays), and nothing is updated; `nonfinite` is set, and "raise"
            raises. With clip_norm they are read first anyway, and "flag" raises too.

        Raises
        ------
        ValueError, TypeError
            If a gradient does not fit its parameter, or an argument or hyperparameter is out of range. Nothing has
            changed.
        DivergenceError
            If a gradient is NaN or infinite, with clip_norm or on_nonfinite="raise". Nothing has changed.

        Notes
        -----
        A parameter without a gradient (None) makes no step, as in torch: it and its states stay as they are, nothing of
        it counts for ``clip_norm``, and its next step has the number after its last one. `steps` counts all steps of
        the optimizer. `EMA` and `SWA` go on averaging it; `Lookahead` leaves it where it is. With ``rows="exact"`` all
        gradients have to be there.

        A step cannot be interrupted: Ctrl-C during it is answered after it, when every array has been updated.
        """
        groups = self.param_groups
        if self._flattens or (type(grads) is not list and type(grads) is not np.ndarray):
            grads = self._form.flatten(grads)
        made = self._stepper.step(grads, groups, lr, grad_scale, clip_value, clip_norm, zero_grad, on_nonfinite)
        if not made and on_nonfinite != "skip":
            rate = groups[0]["lr"]
            raise DivergenceError(
                f"a gradient is NaN or infinite (or their norm is), with lr={rate:g}; nothing was updated", lr=rate
            )

    def catch_up(self, indices: Any = None, param: int = 0) -> None:
        """Bring rows up to date with the steps made so far, where ``rows="exact"``; elsewhere they always are.

        With gradients of some rows (`Rows`) a step moves these alone, and what the others miss is made up for when they
        are next given. Whoever reads parameters in between calls this before: ``opt.catch_up(batch_codes)`` before the
        forward pass, ``opt.catch_up()`` before the whole table is read, saved or copied. States need no call: whatever
        reads them (`state_dict`, pickle, copy, files) brings all rows up to date, and a network does before it makes
        steps. `load_state_dict` takes the parameters as they are: what rows had missed before it is forgotten.

        Parameters
        ----------
        indices : array of integers, optional
            Rows of one parameter, in any order. Default: all rows of all parameters.
        param : int
            Which parameter, by its place.

        Raises
        ------
        ValueError, TypeError
            If a row or parameter is not there. Nothing has changed.

        Notes
        -----
        "exact" is the dense run, whose gradients are zeros in the other rows. The first 1024 steps that a row misses
        are made one by one with their own learning rates, decays and bias corrections: the same bits (and so are more,
        where momenta live longer: until what is left of one is 1e-40; with `Lion`, until it is 0). What it misses after
        them is made in closed form in double, where there is one: then an element is off from the dense run's by no
        more than one rounding a step, or 1e-36. There is none, so all steps are made one by one, for coupled weight
        decay with other rules than SGD, for FTRL's l2_shrinkage, and with an eps of 0. FTRL, SGD without momentum, and
        AdaGrad without decay have the dense run's bits however many steps are missed.

        With ``clip_norm`` the dense run's norm is a sum over more numbers, all of them 0, in another order: the factor
        can differ in its last bits. ``clip_value``, ``grad_scale``, ``maximize`` and schedules change nothing of this.
        After 65536 steps, or when a hyperparameter other than lr and weight_decay was changed, all rows are brought up
        to date. Averages of parameters (`EMA`, `SWA`, `Lookahead`) are of whole arrays: they are refused.
        """
        if indices is None:
            self._stepper.catch_up()
            return
        index = np.asarray(indices)
        if index.ndim != 1 or (index.size and index.dtype.kind not in "iu"):
            raise TypeError(f"indices must be integers of shape (k,); got {index.dtype} of shape {index.shape}")
        if index.size and index.max() > np.iinfo(np.int64).max:
            raise ValueError(f"indices must be rows of the parameter; got {shown(index.max())}")
        self._stepper.catch_up(integer("param", param, 0), np.unique(index.astype(np.int64)))

    def set_precision(
        self,
        *,
        states: str = "float32",
        master: str | None = None,
        rounding: str = "nearest",
        seed: int = 0,
        directory: str | os.PathLike[str] | None = None,
    ) -> None:
        """Keep states in fewer bits, and more bits of parameters in bfloat16 or float16. Before the first step.

        Each piece of the arrays is widened to float32 in cache, updated, and narrowed back, within the same pass over
        memory: less of it is moved, and all rules have this.

        Parameters
        ----------
        states : {"float32", "bfloat16", "8bit"}
            How states of the parameters' shape are kept. "8bit": in blocks of 256 elements, each a code of the dynamic
            map of Dettmers et al. and a float32 for the block; arrays of fewer than 4096 elements stay in float32,
            and SOAP's moments and LAMB's squares, for which 8 bits are too few, are in bfloat16.
            States that need all their bits stay in float32 as well: the points that schedule-free rules and ASGD keep,
            the numbers that FTRL makes parameters of, Rprop's step sizes, Prodigy's first parameters.
        master : {None, "float32", "split"}
            Of parameters in 16 bits. None: they are all there is, and steps smaller than half of a last bit are lost
            (or made now and then, by stochastic rounding). "float32": steps are made in a copy of 32 bits, as which
            they begin at the first step, and of which the parameters are the nearest numbers. "split": for bfloat16,
            the missing 16 bits of each are kept beside it, which together are the float32 number.
        rounding : {"nearest", "stochastic"}
            How states and parameters are rounded to bfloat16. "stochastic": up or down at random, so that the mean is
            exact: small changes are not lost.
        seed : int
            In [0, 2^64), of the random numbers, which follow from it, the step, the array and the element alone: the
            same for any number of threads.
        directory : path, optional
            A folder in which states, masters and averages lie in files that are mapped into memory, which may be larger
            than it. The files have no name, and are gone with the optimizer. Parameters may be maps of the caller's
            (numpy.memmap).

        Raises
        ------
        ValueError, TypeError
            If a step was made, averages are kept, an argument is none of these, or there is nothing that it is about:
            a master of float32 parameters, stochastic rounding where nothing is kept in bfloat16. Nothing has changed.

        Notes
        -----
        Bytes of a parameter and AdamW's states: 12 in float32; parameters in bfloat16 with a master 14, split 12, split
        with states in bfloat16 8, with 8 bits 6. "split" sees parameters that are written between steps; "float32"
        overwrites them.

        References
        ----------
        T. Dettmers, M. Lewis, S. Shleifer, L. Zettlemoyer, 8-bit Optimizers via Block-wise Quantization (2022).
        P. Zamirai, J. Zhang, C. R. Aberger, C. De Sa, Revisiting BFloat16 Training (2020).

        Examples
        --------
        >>> import numpy as np
        >>> import schuss
        >>> p = np.zeros(8192, np.float32)
        >>> opt = schuss.AdamW([p])
        >>> opt.set_precision(states="8bit")
        >>> opt.step([np.ones(8192, np.float32)])
        """
        if self._stepper.busy:
            raise RuntimeError("set_precision was called within a step of this optimizer")
        if self.steps:
            raise ValueError(f"set_precision must be called before the first step; {self.steps} were made")
        if self._averages:
            raise ValueError(f"set_precision must be called before averages are kept; {len(self._averages)} are")
        folder = None if directory is None else os.fspath(directory)
        precision = checked(Precision(states, master, rounding, seed, folder), self._stepper.params)
        stepper = self._new_stepper(self.param_groups, precision)
        _core.in_turn([(setattr, self, "_precision", precision), (setattr, self, "_stepper", stepper)])

    @property
    def nonfinite(self) -> bool:
        """Whether the last step met a NaN or infinite gradient."""
        return self._stepper.nonfinite

    def _set_lr(self, lr: LearningRate) -> None:
        """One learning rate or schedule for all groups."""
        schedule = lr if callable(lr) else None
        value = learning_rate("lr", lr(self.steps) if callable(lr) else lr)
        _core.in_turn([(group.update, {"lr": value, "schedule": schedule}) for group in self.param_groups])

    def _enter_steps(self) -> None:
        """What `fit` calls before the steps of an epoch."""

    def _leave_steps(self) -> None:
        """And after them: parameters are to be what is evaluated and used."""

    def _way_to_rest(self) -> list[float] | None:
        """The weights with which the stepper's `move_params` does that; None where they are that always."""
        return None

    # -- state -------------------------------------------------------------------------------------------------------

    def state_dict(self, *, like: str = "numpy") -> dict[str, Any]:
        """The optimizer's numbers in the shape of torch's state_dict.

        Parameters
        ----------
        like : {"numpy", "torch", "bitsandbytes"}
            Arrays and numbers; or what torch's optimizer of the same name loads, or that of the package bitsandbytes:
            tensors. torch is imported for it. bitsandbytes has Adam, AdamW, AdEMAMix, Lion, SGD with momentum, RMSProp
            and AdaGrad; what it has no place for, as a master, is left out, and hyperparameters that it lacks are
            refused.

        Returns
        -------
        dict
            ``{"state": {i: {"step": t, "exp_avg": array, ...}}, "param_groups": [{..., "params": [i, ...]}]}`` with
            copies of the state arrays. Without ``like="torch"``, which has no place for them, there are also
            "schedules" and "averages", where this optimizer has some: schedules as data with their state, and what
            `EMA`, `SWA` and `Lookahead` keep. Of a schedule that is a function only the current value is there, as
            "lr". "step" is each parameter's own; where all have made fewer steps than the optimizer, "steps" is there.
            A parameter that has made none has no entry in what torch loads if torch would not have one.
        """
        if choice("like", like, ("numpy", "torch", "bitsandbytes")) == "numpy":
            return described(self)
        import torch

        found = described(self, torch.tensor)
        if like == "torch":
            return found
        return bitsandbytes.given(found, [group["rule"] for group in self.param_groups], TORCH_ONLY)

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Take over the numbers of a state_dict, torch's own included. Everything is checked first, then copied.

        It takes that of the package bitsandbytes too, where it has the optimizer: codes of 8 bits stay what they are in
        states of 8 bits, and are converted else.

        Of torch's it takes what training in torch leaves there: parameters that have made fewer steps than others, or
        none; numbers and hyperparameters that are tensors; states of any real dtype, rounded once; tensors on other
        devices. Entries of groups that are no hyperparameters (torch's "param_names", what its schedulers keep, your
        own) are kept, and are in later state_dicts.

        A "schedule" of this optimizer stays where the state has none, as torch's never does; so do averages. A torch
        state without "step" (SGD's) counts as step 1 if it has momentum buffers, else 0.

        Raises
        ------
        ValueError, TypeError
            If groups, names or shapes do not fit, a state is not of real numbers or has one that is too large for the
            parameter's dtype, or this optimizer keeps averages of other kinds. Nothing has changed.
        """
        self._load(state_dict, [])

    def _load(self, state_dict: Mapping[str, Any], also: Calls) -> None:
        """As `load_state_dict`; with it, as one whole, these calls are made."""
        calls, _ = self._loading(state_dict)
        _core.in_turn([*calls, *also])

    def _loading(self, state_dict: Mapping[str, Any]) -> tuple[Calls, int]:
        """The calls that take over a state_dict, and the steps that it was made after. Nothing has changed yet."""
        return loading(self, state_dict)

    def __repr__(self) -> str:
        lines = []
        for group in self.param_groups:
            shapes = ", ".join(str(p.shape) for p in group["params"][:4])
            more = ", ..." if len(group["params"]) > 4 else ""
            hyper = ", ".join(f"{key}={value!r}" for key, value in group.items() if key not in NOT_HYPER)
            lines.append(f"{type(self).__name__}([{shapes}{more}], {hyper})")
        return "\n".join(lines)
