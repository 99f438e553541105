"""An interrupt, wherever it comes, leaves a torch optimizer as before a step or as after it."""

from __future__ import annotations

import copy
from typing import Any

import pytest

torch: Any = pytest.importorskip("torch")

import schuss.torch  # noqa: E402
from tests.interrupts import broken  # noqa: E402
from tests.torch.models import clones, give, parameters, same_bits, train  # noqa: E402

SHAPES = [(5, 3), (7,)]


def begun(steps: int, dtypes: tuple[Any, ...] = (torch.float32,), name: str = "NAdam") -> tuple[Any, list[Any]]:
    params = [p for dtype in dtypes for p in parameters(SHAPES, dtype)]
    opt = getattr(schuss.torch, name)(params, lr=0.1)
    train(opt, params, 0, steps)
    give(params, seed=steps)
    return opt, params


def after(steps: int, **options: Any) -> list[Any]:
    opt, params = begun(0, **options)
    train(opt, params, 0, steps)
    return params


ONE, TWO = (torch.float32,), (torch.float32, torch.float64)


@pytest.mark.parametrize(
    ("change", "steps", "dtypes"),
    [
        ("nothing", 0, TWO),
        ("nothing", 2, ONE),
        ("memory", 2, TWO),
        ("memory", 0, ONE),
        ("rate", 2, ONE),
        ("group", 2, ONE),
    ],
)
def test_steps(change: str, steps: int, dtypes: tuple[Any, ...]) -> None:
    """The first one too, and one before which something has to be brought up to date."""
    wanted = [after(n, dtypes=dtypes) for n in (steps, steps + 1, steps + 3)]

    def begin() -> tuple[Any, list[Any]]:
        opt, params = begun(steps, dtypes)
        if change == "memory":
            params[0].data = params[0].data.clone()
        elif change == "rate":
            opt.param_groups[0]["lr"] = torch.tensor(0.1, dtype=torch.float64)
        elif change == "group":
            opt.add_param_group({"params": parameters([(2,)])})
        return opt, params

    def check(subject: tuple[Any, list[Any]]) -> None:
        opt, params = subject
        made = [n for n in (0, 1) if same_bits(params, wanted[n])]
        assert made, "parameters are half way"
        counts = [float(opt.state[p]["step"]) if p in opt.state else 0 for p in params]
        assert counts == [steps + made[0]] * len(params)
        train(opt, params, steps + made[0], steps + 3)
        assert same_bits(params, wanted[2])

    assert broken(begin, lambda subject: subject[0].step(), check) == []


def test_loading() -> None:
    """The states that are loaded, or those of before."""
    opt, params = begun(4)
    saved, wanted = opt.state_dict(), after(6)
    before = clones(params)

    def begin() -> tuple[Any, list[Any], Any, list[Any]]:
        again = clones(before)
        other, others = schuss.torch.NAdam(again, lr=0.1), again
        return other, others, copy.deepcopy(saved), []

    def check(subject: tuple[Any, ...]) -> None:
        other, others, states, _ = subject
        if not other.state:
            other.load_state_dict(states)
        train(other, others, 4, 6)
        assert same_bits(others, wanted)

    assert broken(begin, lambda subject: subject[0].load_state_dict(subject[2]), check) == []


def test_schedule_free() -> None:
    """Parameters are in one of their two places, and the optimizer knows in which."""

    def begin() -> tuple[Any, list[Any]]:
        return begun(3, name="ScheduleFreeAdamW")

    opt, params = begin()
    train_place = clones(params)
    opt.eval()
    eval_place = clones(params)

    def check(subject: tuple[Any, list[Any]]) -> None:
        one, moved = subject
        assert same_bits(moved, train_place if one.training else eval_place)

    assert broken(begin, lambda subject: subject[0].eval(), check) == []
