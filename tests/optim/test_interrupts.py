"""An interrupt, wherever it comes, leaves an optimizer and what is around it as before a call or as after it."""

from __future__ import annotations

import copy
import pickle
import signal
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import schuss
from schuss import _core
from schuss.optim import BY_NAME
from tests.interrupts import broken

Params = list[Any]


def params() -> Params:
    return [np.arange(6.0).reshape(2, 3) + 1, np.array([0.5, -1.0])]


def gradients(k: int) -> Params:
    rng = np.random.default_rng(k)
    return [rng.normal(size=(2, 3)), rng.normal(size=2)]


def bits(arrays: Params) -> list[bytes]:
    return [array.tobytes() for array in arrays]


# -- contexts ----------------------------------------------------------------------------------------------------------


def averaged() -> tuple[Params, schuss.EMA]:
    p = params()
    ema = schuss.EMA(schuss.Adam(p, lr=0.1), 0.5)
    for k in range(3):
        ema.step(gradients(k))
    return p, ema


def test_averages_applied() -> None:
    p, ema = averaged()
    before, averages = bits(p), bits(ema.averages)
    assert before != averages

    def operation(subject: tuple[Params, schuss.EMA]) -> None:
        with subject[1].applied():
            assert bits(subject[0]) == averages

    def check(subject: tuple[Params, schuss.EMA]) -> None:
        assert bits(subject[0]) == before

    def whole(subject: tuple[Params, schuss.EMA]) -> None:
        assert bits(subject[0]) in (before, averages)

    assert not broken(averaged, operation, check)
    assert not broken(averaged, lambda subject: subject[1].copy_to_params(), whole)


def test_averages_applied_again() -> None:
    """Contexts within one another, one context twice, and as a decorator."""
    p, ema = averaged()
    before, averages = bits(p), bits(ema.averages)
    context = ema.applied()
    for _ in range(2):
        with context, context, ema.applied():
            assert bits(p) == averages
            p[0][...] = 7
        assert bits(p) == before

    @ema.applied()
    def within() -> list[bytes]:
        return bits(p)

    assert within() == averages and bits(p) == before
    with pytest.raises(ZeroDivisionError), ema.applied():
        1 / 0  # noqa: B018
    assert bits(p) == before


def test_averages_applied_to_what_is_read_only() -> None:
    p, ema = averaged()
    before = bits(p)
    p[1].flags.writeable = False
    with pytest.raises((ValueError, BufferError), match="read-only"), ema.applied():
        pass
    assert bits(p) == before
    p[1].flags.writeable = True
    with ema.applied():
        p[1].flags.writeable = False
    assert bits(p) == before


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="there is no timer that sends signals")
def test_averages_applied_under_real_interrupts() -> None:
    """Each of thousands comes at another moment of a loop that does nothing else."""
    p, ema = averaged()
    before, wrong = bits(p), 0

    def interrupt(*_: Any) -> None:
        raise KeyboardInterrupt

    found = signal.signal(signal.SIGALRM, interrupt)
    try:
        for k in range(3000):
            try:
                signal.setitimer(signal.ITIMER_REAL, 20e-6 + k * 20e-9)
                while True:
                    with ema.applied():
                        pass
            except KeyboardInterrupt:
                wrong += bits(p) != before
    finally:
        signal.signal(signal.SIGALRM, found)
    assert wrong == 0


def test_threads() -> None:
    before = schuss.get_num_threads()

    def operation(_: None) -> None:
        with schuss.threads(1), schuss.threads(2):
            assert schuss.get_num_threads() == 2

    def check(_: None) -> None:
        found = schuss.get_num_threads()
        _core.set_thread_limit(0)
        assert found == before

    assert not broken(lambda: None, operation, check)


# -- steps -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", BY_NAME)
def test_a_first_step(name: str) -> None:
    """Made or not, and the next ones as if nothing had been. Schedules run in it."""

    def begin() -> tuple[Params, schuss.Optimizer]:
        p = params()
        groups: list[dict[str, Any]] = [{"params": [a]} for a in p]
        if name != "rprop":  # which takes none
            for k, group in enumerate(groups):
                group["lr"] = lambda t, k=k: 0.1 / (t + k + 1)
        if name == "muon":
            groups[1]["use_muon"] = False  # it is no matrix
        return p, BY_NAME[name](groups)

    def run_on(subject: tuple[Params, schuss.Optimizer], steps: int) -> list[bytes]:
        while subject[1].steps < steps:
            subject[1].step([[g] for g in gradients(subject[1].steps)])
        return bits(subject[0])

    wanted = [run_on(begin(), n) for n in range(5)]

    def check(subject: tuple[Params, schuss.Optimizer]) -> None:
        assert bits(subject[0]) == wanted[subject[1].steps]
        assert run_on(subject, 4) == wanted[4]

    assert not broken(begin, lambda subject: run_on(subject, 1), check)


def bowl(p: Params) -> Callable[[], tuple[float, Params]]:
    return lambda: (float(sum((a**4).sum() for a in p)), [4 * a**3 for a in p])


def sharp(steps: int = 2) -> tuple[Params, schuss.SAM]:
    p = params()
    sam = schuss.SAM(schuss.Adam(p, lr=0.1), rho=0.5)
    for _ in range(steps):
        sam.step(bowl(p))
    return p, sam


def test_sam() -> None:
    wanted = [bits(sharp(n)[0]) for n in range(7)]

    def check(subject: tuple[Params, schuss.SAM]) -> None:
        p, sam = subject
        assert bits(p) == wanted[sam.optimizer.steps]
        while sam.optimizer.steps < 6:
            sam.step(bowl(p))
        assert bits(p) == wanted[6]

    assert not broken(sharp, lambda subject: subject[1].step(bowl(subject[0])), check)


@pytest.mark.parametrize("uphill", [False, True])
def test_sam_in_two_steps(uphill: bool) -> None:
    """After each of them it knows where the parameters are."""
    below, after = bits(sharp(2)[0]), bits(sharp(3)[0])

    def begin() -> tuple[Params, schuss.SAM]:
        p, sam = sharp()
        if uphill:
            sam.first_step(bowl(p)()[1])
        return p, sam

    def step(subject: tuple[Params, schuss.SAM]) -> None:
        (subject[1].second_step if uphill else subject[1].first_step)(bowl(subject[0])()[1])

    def check(subject: tuple[Params, schuss.SAM]) -> None:
        p, sam = subject
        if sam.optimizer.steps == 2:
            try:
                sam.second_step(bowl(p)()[1])
            except RuntimeError:  # it is not uphill
                assert bits(p) == below
                sam.step(bowl(p))
        assert bits(p) == after

    assert not broken(begin, step, check)


@pytest.mark.parametrize("calls", [1, 2])
def test_accumulate(calls: int) -> None:
    """The gradients of the call count or do not: it goes on as one of the two twins."""

    def begin(calls: int = calls) -> tuple[Params, schuss.Accumulate]:
        p = params()
        return run_on((p, schuss.Accumulate(schuss.EMA(schuss.Adam(p, lr=0.1), 0.5), 3)), 0, calls)

    def run_on(subject: tuple[Params, schuss.Accumulate], start: int, stop: int) -> tuple[Params, schuss.Accumulate]:
        for k in range(start, stop):
            subject[1].step(gradients(k))
        return subject

    wanted = bits(begin(12)[0])

    def check(subject: tuple[Params, schuss.Accumulate]) -> None:
        p, wrapper = subject
        assert (wrapper.pending == 0) == (not any(a.any() for a in wrapper._sums))
        twin = copy.deepcopy(subject)
        found = [bits(run_on(twin, calls, 12)[0]), bits(run_on(subject, calls + 1, 12)[0])]
        if found[1] != wanted and wrapper.pending == 3:  # the last step is made by the next call
            wrapper.step(gradients(0))
            found[1] = bits(p)
        assert wanted in found

    assert not broken(begin, lambda subject: subject[1].step(gradients(calls)), check)


def test_accumulate_fails_and_begins_anew() -> None:
    p = params()
    wrapper = schuss.Accumulate(schuss.Adam(p, lr=0.1), 2)
    wrapper.step(gradients(0))
    with pytest.raises(schuss.DivergenceError):
        wrapper.step([np.full_like(a, np.nan) for a in p], on_nonfinite="raise")
    assert wrapper.pending == 0 and not any(a.any() for a in wrapper._sums) and bits(p) == bits(params())


def test_lbfgs() -> None:
    """The parameters are where an iteration has left them, and steps go on from there."""

    def begin() -> tuple[Params, schuss.LBFGS]:
        p = params()
        optimizer = schuss.LBFGS(p, lr=0.05, max_iter=3)
        optimizer.step(bowl(p))
        return p, optimizer

    first = bowl(begin()[0])()[0]

    def check(subject: tuple[Params, schuss.LBFGS]) -> None:
        p, optimizer = subject
        now = bowl(p)()[0]
        assert now <= first
        assert optimizer.state_dict()["state"][0]["n_iter"] >= 2
        for _ in range(2):
            optimizer.step(bowl(p))
        assert bowl(p)()[0] < now

    assert not broken(begin, lambda subject: subject[1].step(bowl(subject[0])), check)


def test_schedule_free_moves() -> None:
    def begin(to_eval: bool = True) -> tuple[Params, schuss.ScheduleFreeSGD]:
        p = params()
        optimizer = schuss.ScheduleFreeSGD(p, lr=0.1)
        for k in range(3):
            optimizer.step(gradients(k))
        if to_eval:
            optimizer.eval()
        return p, optimizer

    trained, evaluated = begin(False), begin()
    assert bits(trained[0]) != bits(evaluated[0])
    back = begin()
    back[1].train()

    def check_eval(subject: tuple[Params, schuss.ScheduleFreeSGD]) -> None:
        assert bits(subject[0]) == bits((trained if subject[1].training else evaluated)[0])

    def check_train(subject: tuple[Params, schuss.ScheduleFreeSGD]) -> None:
        assert bits(subject[0]) == bits((back if subject[1].training else evaluated)[0])

    assert not broken(lambda: begin(False), lambda subject: subject[1].eval(), check_eval)
    assert not broken(begin, lambda subject: subject[1].train(), check_train)


# -- states ------------------------------------------------------------------------------------------------------------


def test_a_new_average() -> None:
    """It is kept or not, and the optimizer can be saved, and be given another one that begins now."""

    def begin() -> schuss.Adam:
        optimizer = schuss.Adam(params(), lr=0.1)
        optimizer.step(gradients(0))
        return optimizer

    def check(optimizer: schuss.Adam) -> None:
        pickle.loads(pickle.dumps(optimizer))
        assert (
            len(optimizer._averages)
            == len(optimizer._stepper.averages)
            == len(optimizer.state_dict().get("averages", ()))
        )
        optimizer.step(gradients(1))
        assert bits(schuss.SWA(optimizer).averages) == bits(optimizer._stepper.params)

    assert not broken(begin, lambda optimizer: schuss.EMA(optimizer, 0.5), check)


def made(kind: str, steps: int, lr: float) -> Any:
    p = params()
    found: Any
    if kind == "lbfgs":
        found = schuss.LBFGS(p, lr=lr, max_iter=3)
    elif kind == "schedule_free":
        found = schuss.ScheduleFreeSGD(p, lr=lr)
    else:
        found = schuss.Adam(p, lr=lr)
    if "average" in kind:
        found = schuss.EMA(found, 0.5)
    if "accumulate" in kind:
        found = schuss.Accumulate(found, 3)
    for k in range(steps):
        found.step(bowl(p) if kind == "lbfgs" else gradients(k))
    if kind == "schedule_free" and steps > 2:
        found.eval()
    return found


@pytest.mark.parametrize("kind", ["adam", "average", "accumulate", "accumulate_average", "schedule_free", "lbfgs"])
def test_states_are_taken_over_whole(kind: str) -> None:
    before, after = made(kind, 2, 0.02), made(kind, 7, 0.03)
    state, parts = after.state_dict(), after.__getstate__()
    known = [repr(before.state_dict()), repr(state)]
    assert known[0] != known[1]

    def check(subject: Any) -> None:
        assert repr(subject.state_dict()) in known

    assert not broken(lambda: made(kind, 2, 0.02), lambda subject: subject.load_state_dict(state), check)
    assert not broken(
        lambda: (made(kind, 2, 0.02), copy.deepcopy(parts)),
        lambda subject: subject[0].__setstate__(subject[1]),
        lambda subject: check(subject[0]),
        every=3,
    )
