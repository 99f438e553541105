"""Optimizers of all kinds under attack: two of each, on other numbers of threads, must stay the same bit for bit."""

from __future__ import annotations

import copy
import inspect
import pickle
from typing import Any

import numpy as np
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

import schuss
from schuss import _core
from schuss.optim import BY_NAME

from . import draws
from .calls import Refused, attempt, both
from .guarded import Array, begin, bits, check_canaries, guarded, same

KINDS = sorted(BY_NAME)
WRAPPERS = ("none", "none", "ema", "swa", "lookahead", "accumulate", "sam")
# A group's keys that the core does not check yet: see tests/optim/test_group_writes.py.
UNCHECKED = ("rule", "params")


def wrapped(optimizer: Any, wrapper: str) -> Any:
    match wrapper:
        case "ema":
            return schuss.EMA(optimizer, 0.5, every=2)
        case "swa":
            return schuss.SWA(optimizer, start=2)
        case "lookahead":
            return schuss.Lookahead(optimizer, k=2)
        case "accumulate":
            return schuss.Accumulate(optimizer, 2)
        case "sam":
            return schuss.SAM(optimizer)
    return optimizer


def inverse(step: int) -> float:
    """A schedule that can be pickled."""
    return 0.1 / (step + 1)


def in_form(arrays: list[Any], form: str) -> Any:
    """Parameters or gradients in the form that they are given in."""
    match form:
        case "dict":
            return {f"p{k}": array for k, array in enumerate(arrays)}
        case "single" if len(arrays) == 1:
            return arrays[0]
    return arrays


class Optimizers(RuleBasedStateMachine):
    """Rules call one optimizer and its twin. The twin has three threads, and is exchanged for copies of itself."""

    def __init__(self) -> None:
        super().__init__()
        begin()
        self.isa = _core.config()["isa"]
        self.ready = self.written = False

    @initialize(data=st.data())
    def make(self, data: Any) -> None:
        draw = data.draw
        self.kind = BY_NAME[draw(st.sampled_from(KINDS), label="kind")]
        self.wrapper = draw(st.sampled_from(WRAPPERS), label="wrapper")
        self.form = draw(st.sampled_from(["list", "dict", "single", "groups"]), label="form")
        dtype = draw(st.sampled_from(["f4", "f8"]))
        starts = [draws.values(draw, shape, dtype, False) for shape in draw(draws.shapes(), label="shapes")]
        self.params = [guarded(p, dtype, draw(st.integers(0, 3))) for p in starts]
        self.twins = [guarded(p, dtype, k) for k, p in enumerate(starts)]
        settings = self.settings(draw)
        one = attempt("make", lambda: self.new(self.params, settings))
        other = attempt("make", lambda: self.new(self.twins, settings))
        assert isinstance(one, Refused) == isinstance(other, Refused)
        if isinstance(one, Refused):
            self.kind = schuss.Adam
            one, other = self.new(self.params, {}), self.new(self.twins, {})
        self.one, self.other = one, other
        self.ready = True

    def settings(self, draw: Any) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for name, parameter in inspect.signature(self.kind.__init__).parameters.items():
            if name in ("self", "params", "no_decay") or draw(st.integers(0, 4)):
                continue
            if isinstance(parameter.default, bool):
                found[name] = draw(st.booleans())
            elif isinstance(parameter.default, float):
                found[name] = draw(draws.numbers())
            else:
                found[name] = draw(draws.anything())
        if draw(st.integers(0, 5)) == 0:
            found["lr"] = draw(st.sampled_from([inverse, schuss.schedules.Cosine(0.1, 5)]))
        return found

    def new(self, params: list[Array], settings: dict[str, Any]) -> Any:
        if self.form == "groups":
            given: Any = [{"params": params[:1]}] + ([{"params": params[1:], "lr": 0.01}] if params[1:] else [])
        else:
            given = in_form(params, self.form)
        optimizer = self.kind(given, **settings)
        if self.kind is schuss.LBFGS:
            return optimizer
        return wrapped(optimizer, self.wrapper)

    # ---- what is compared --------------------------------------------------------------------------------------------

    def inner(self, optimizer: Any) -> Any:
        while hasattr(optimizer, "optimizer"):
            optimizer = optimizer.optimizer
        return optimizer

    def arrays(self, optimizer: Any) -> list[Array]:
        """All that a step may change."""
        inner = self.inner(optimizer)
        if isinstance(inner, schuss.LBFGS):
            return list(inner.param_groups[0]["params"])
        stepper = inner._stepper
        states = [a for of in stepper.states for a in of if a is not None]
        averages = [a for of in stepper.averages for a in of]
        return [*stepper.params, *states, *averages]

    def state(self) -> Any:
        inner = self.inner(self.one)
        return [bits(a) for a in self.arrays(self.one)], getattr(inner, "steps", 0)

    # ---- rules -------------------------------------------------------------------------------------------------------

    def step_both(self, grads: list[Any], stages: dict[str, Any]) -> Any:
        twins = [draws.copied(g) for g in grads]
        if isinstance(self.one, schuss.LBFGS):
            if stages:
                return both(
                    "lbfgs",
                    lambda: self.one.step(lambda: 0.0, **stages),
                    lambda: self.other.step(lambda: 0.0, **stages),
                )
            return self.closures(grads)
        form = "list" if self.wrapper == "sam" else self.form
        mine, theirs = in_form(grads, form), in_form(twins, form)
        if isinstance(self.one, schuss.SAM):
            one, other = (
                (lambda: self.one.step(lambda: mine, **stages)),
                (lambda: self.other.step(lambda: theirs, **stages)),
            )
        else:
            one, other = (lambda: self.one.step(mine, **stages)), (lambda: self.other.step(theirs, **stages))
        return both(f"step {self.wrapper}", lambda: self.serially(one), lambda: self.by_three(other), self.state)

    def closures(self, grads: list[Any]) -> Any:
        def closure(params: list[Array]) -> Any:
            def call() -> Any:
                with np.errstate(all="ignore"):
                    return float(sum(np.square(p.astype("f8")).sum() for p in params)), in_form(
                        [2 * p for p in params], self.form
                    )

            return call

        return both(
            "lbfgs",
            lambda: self.serially(lambda: self.one.step(closure(self.params))),
            lambda: self.by_three(lambda: self.other.step(closure(self.twins))),
        )

    def serially(self, call: Any) -> Any:
        with schuss.threads(1):
            return call()

    def by_three(self, call: Any) -> Any:
        with schuss.threads(3):
            return call()

    @precondition(lambda self: self.ready)
    @rule(data=st.data(), times=st.integers(1, 4))
    def step(self, data: Any, times: int) -> None:
        for _ in range(times):
            self.step_both([draws.gradient(data.draw, p, False) for p in self.params], {})

    @precondition(lambda self: self.ready)
    @rule(data=st.data())
    def step_with_junk(self, data: Any) -> None:
        draw = data.draw
        grads = [draws.gradient(draw, p, True) for p in self.params]
        change = draw(st.integers(0, 9))
        if change == 0:
            grads.append(grads[0])
        elif change == 1:
            grads.pop()
        elif change == 2:
            grads = grads[::-1]
        self.step_both(grads, {})

    @precondition(lambda self: self.ready)
    @rule(data=st.data())
    def step_with_stages(self, data: Any) -> None:
        draw = data.draw
        stages: dict[str, Any] = {}
        for name in ("lr", "grad_scale", "clip_norm", "clip_value"):
            if draw(st.booleans()):
                stages[name] = draw(st.one_of(draws.numbers(), draws.anything()))
        if draw(st.booleans()):
            stages["zero_grad"] = draw(st.sampled_from([True, True, False, 1, None]))
        if draw(st.booleans()):
            stages["on_nonfinite"] = draw(st.sampled_from(["flag", "skip", "raise", "skip", "raise", "x", None, 3]))
        if stages.get("zero_grad"):
            self.step_both([draws.values(draw, p.shape, p.dtype) for p in self.params], stages)
        else:
            self.step_both([draws.gradient(draw, p, False) for p in self.params], stages)

    @precondition(lambda self: self.ready)
    @rule(data=st.data())
    def step_with_a_hook(self, data: Any) -> None:
        """A lender acts while the gradients are looked at."""
        draw = data.draw
        k = draw(st.integers(0, len(self.params) - 1))
        what = draw(st.sampled_from(["threads", "lock", "resize", "step", "load", "gradient", "raise"]))
        grads = [draws.values(draw, p.shape, p.dtype) for p in self.params]

        def act() -> None:
            match what:
                case "threads":
                    _core.set_num_threads(40)
                case "lock":
                    self.params[0].setflags(write=False)
                case "resize":
                    self.params[0].resize(10**4, refcheck=False)
                case "step":
                    self.one.step(grads)
                case "load":
                    self.one.load_state_dict(self.one.state_dict())
                case "gradient":
                    if grads[0].flags.owndata and k:
                        grads[0].resize(10**6, refcheck=False)
                case "raise":
                    raise ZeroDivisionError

        given = list(grads)
        given[k] = draws.Lender(grads[k], act)
        if isinstance(self.one, (schuss.LBFGS, schuss.SAM, schuss.Accumulate)):
            return
        try:
            done = attempt(
                f"hook {what}", lambda: self.serially(lambda: self.one.step(in_form(given, self.form))), self.state
            )
        except ZeroDivisionError:
            done = Refused(ValueError("raised"))
        finally:
            _core.set_num_threads(None)
            self.params[0].setflags(write=True)
        assert what in ("threads", "load", "gradient") or isinstance(done, Refused)
        if not isinstance(done, Refused):
            self.by_three(lambda: self.other.step(in_form([g.copy() for g in grads], self.form)))

    @precondition(lambda self: self.ready)
    @rule(data=st.data())
    def write_into_a_group(self, data: Any) -> None:
        draw = data.draw
        inner, twin = self.inner(self.one), self.inner(self.other)
        i = draw(st.integers(0, len(inner.param_groups) - 1))
        group, other = inner.param_groups[i], twin.param_groups[i]
        name = draw(st.sampled_from([key for key in group if key not in UNCHECKED]))
        if isinstance(group[name], tuple):
            value: Any = tuple(sorted(draw(draws.numbers()) for _ in group[name]))
        else:
            value = draw(st.one_of(draws.numbers(), draws.anything()))
        kept, self.written = group[name], True
        if (
            self.wrapper == "accumulate"
            or not isinstance(kept, (float, str, tuple))
            or value is None
            or isinstance(value, int)
        ):
            return  # the core takes these for numbers and flags today
        group[name] = other[name] = value
        done = self.step_both([draws.values(draw, p.shape, p.dtype) for p in self.params], {})
        if isinstance(done, Refused) or name == "schedule":
            group[name] = other[name] = kept

    @precondition(lambda self: self.ready)
    @rule(data=st.data())
    def write_into_parameters(self, data: Any) -> None:
        for p, q in zip(self.params, self.twins, strict=True):
            p[...] = q[...] = draws.values(data.draw, p.shape, p.dtype)

    @precondition(lambda self: self.ready)
    @rule(data=st.data())
    def lock_a_parameter(self, data: Any) -> None:
        k = data.draw(st.integers(0, len(self.params) - 1))
        if self.kind is schuss.LBFGS or self.wrapper in ("sam", "accumulate"):
            return
        self.params[k].setflags(write=False)
        try:
            given = in_form([p.copy() for p in self.params], self.form)
            assert isinstance(attempt("step, locked", lambda: self.one.step(given), self.state), Refused)
        finally:
            self.params[k].setflags(write=True)

    @precondition(lambda self: self.ready)
    @rule(how=st.sampled_from(["pickle", "deepcopy", "load", "state"]))
    def exchange_the_twin(self, how: str) -> None:
        """The twin goes on as a copy."""
        if how in ("pickle", "deepcopy"):
            done = attempt(
                how, lambda: copy.deepcopy(self.other) if how == "deepcopy" else pickle.loads(pickle.dumps(self.other))
            )
            assert self.written or not isinstance(done, Refused), done
            if isinstance(done, Refused) or not hasattr(self.inner(done), "_stepper"):
                return
            self.other = done
            self.twins = list(self.inner(done)._stepper.params)
        else:
            given = self.one.state_dict()
            done = attempt("load_state_dict", lambda: self.other.load_state_dict(given))
            assert self.written or not isinstance(done, Refused), done

    @precondition(lambda self: self.ready)
    @rule(data=st.data())
    def load_junk(self, data: Any) -> None:
        """A state_dict with one place changed: refused, with nothing changed, or taken by both."""
        draw = data.draw
        given = self.one.state_dict()
        place: Any = given
        key: Any = None
        for _ in range(draw(st.integers(1, 4))):
            inside = place if key is None else place[key]
            keys = (
                list(inside)
                if isinstance(inside, dict)
                else list(range(len(inside)))
                if isinstance(inside, list)
                else []
            )
            if not keys:
                break
            place, key = inside, draw(st.sampled_from(keys))
        if key in ("averages", "every", "start", "weight", "kind", "arrays", "pending", "sums") or place is given.get(
            "averages"
        ):
            return
        found: Any = place[key]
        if isinstance(found, np.ndarray):
            found = np.nan_to_num(found, posinf=1.0, neginf=1.0).clip(-1e6, 1e6)
        if isinstance(found, np.ndarray) and draw(st.booleans()):
            place[key] = draw(
                st.sampled_from([found[None], found.astype(int), found[..., None], found * 0, found.tolist()])
            )
        else:
            place[key] = draw(st.one_of(draws.anything(), draws.numbers()))
        both(
            "load junk", lambda: self.one.load_state_dict(given), lambda: self.other.load_state_dict(given), self.state
        )

    @precondition(lambda self: self.ready)
    @rule(level=st.sampled_from(_core.isa_levels()))
    def switch(self, level: str) -> None:
        _core.use_isa(level)

    # ---- what holds after each ---------------------------------------------------------------------------------------

    @invariant()
    def nothing_beside_arrays_is_written(self) -> None:
        check_canaries()

    @invariant()
    def twins_are_the_same(self) -> None:
        if self.ready:
            same(self.arrays(self.one), self.arrays(self.other), self.kind.__name__)
            assert getattr(self.inner(self.one), "steps", 0) == getattr(self.inner(self.other), "steps", 0)

    def teardown(self) -> None:
        _core.use_isa(self.isa)
        _core.set_num_threads(None)
