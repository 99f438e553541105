"""The catalogue as everybody calls it: a row for each of our optimizers, with counterparts and cost in memory.

One that no peer has, and whose step is one pass, needs no line here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

import schuss
from schuss import _core

from .streams import Passes

# Parameters at most, of any.
MOST = 50_000_000
# One pass over the parameters, the gradient and so many states, all but the gradient written too.
STATE_1: Passes = ((3, 2),)
STATE_2: Passes = ((4, 3),)
STATE_3: Passes = ((5, 4),)
STATE_4: Passes = ((6, 5),)


@dataclass(frozen=True)
class Optimizer:
    """An optimizer, and who else has it.

    Attributes
    ----------
    name : str
        Our class.
    passes : sequence of (int, int)
        For each pass that a step cannot do without: arrays of the parameters' size that are read, and how many of them
        are written too.
    options : dict
        Our arguments beside the parameters, the learning rate among them where it is not the common one.
    torch, torch_options
        The class in torch.optim, and its arguments, if they are not ours.
    fused : bool
        Whether torch has a fused form for the CPU.
    optax, optax_options
        The function in optax, or in optax.contrib, and its arguments beside the learning rate.
    apart : sequence of str
        Columns that go another way than ours by the nature of their formula: timed, not compared.
    form : {"vector", "matrix", "rows", "closure"}
        Parameters as a flat vector; as a matrix; as a table of which a step touches a tenth of the rows; as a vector
        with a closure that evaluates loss and gradient.
    most : int
        Parameters at most: beyond, a step takes seconds of arithmetic.
    """

    name: str
    passes: Passes
    options: Mapping[str, Any] = field(default_factory=dict)
    torch: str | None = None
    torch_options: Mapping[str, Any] | None = None
    fused: bool = False
    optax: str | None = None
    optax_options: Mapping[str, Any] = field(default_factory=dict)
    apart: Sequence[str] = ()
    form: str = "vector"
    most: int = MOST

    @property
    def touched(self) -> int:
        """One of so many parameters is touched by a step."""
        return 10 if self.form == "rows" else 1

    @property
    def key(self) -> str:
        return self.name.lower()


def _same(name: str, passes: Passes, *, torch: str | None = None, **others: Any) -> Optimizer:
    """One that torch has too, by the same name if no other is given."""
    return Optimizer(name, passes, torch=torch or name, **others)


LISTED = (
    _same("SGD", STATE_1, options={"momentum": 0.9}, fused=True, optax="sgd", optax_options={"momentum": 0.9}),
    _same("ASGD", STATE_1, options={"t0": 0.0}),
    _same(
        "AdaGrad",
        STATE_1,
        torch="Adagrad",
        options={"eps": 1e-10},
        fused=True,
        # Its eps is under the root.
        optax="adagrad",
        optax_options={"initial_accumulator_value": 0.0, "eps": 1e-20},
    ),
    Optimizer("RowAdaGrad", ((2, 1),), form="matrix"),
    _same("Adadelta", STATE_2, options={"lr": 1.0}, optax="adadelta", optax_options={"learning_rate": 1.0}),
    _same(
        "RMSProp",
        STATE_1,
        torch="RMSprop",
        options={"alpha": 0.99, "eps": 1e-8},
        optax="rmsprop",
        optax_options={"decay": 0.99, "eps": 1e-8, "eps_in_sqrt": False},
    ),
    _same("Rprop", STATE_2, optax="rprop", apart=("optax",)),
    _same("Adam", STATE_2, fused=True, optax="adam"),
    _same(
        "AdamW",
        STATE_2,
        options={"weight_decay": 0.01},
        fused=True,
        optax="adamw",
        optax_options={"weight_decay": 0.01},
    ),
    _same("Adamax", STATE_2, optax="adamax"),
    _same("NAdam", STATE_2, optax="nadam", apart=("optax",)),
    _same("RAdam", STATE_2, optax="radam"),
    _same("SparseAdam", STATE_2, form="rows"),
    # Row and column sums of the squares, and the parameters' own; the size of the update; the update.
    _same("Adafactor", ((2, 0), (1, 0), (2, 1)), form="matrix", optax="adafactor", apart=("optax",)),
    # torch's works in bfloat16.
    _same("Muon", STATE_1, form="matrix", optax="muon", apart=("torch default", "optax"), most=1_000_000),
    # Ten pairs, read twice; some ten vectors more, those of the closure among them.
    _same("LBFGS", ((4, 0),) * 10 + ((3, 2),) * 2, form="closure", most=10_000_000),
    Optimizer("Lion", STATE_1, options={"weight_decay": 0.01}, optax="lion", optax_options={"weight_decay": 0.01}),
    Optimizer(
        "LAMB",
        ((4, 2), (3, 1)),
        options={"lr": 1e-4, "weight_decay": 0.01},
        optax="lamb",
        optax_options={"learning_rate": 1e-4, "weight_decay": 0.01},
    ),
    Optimizer(
        "LARS",
        ((2, 0), (3, 2)),
        options={"lr": 1e-2, "momentum": 0.9},
        optax="lars",
        optax_options={"learning_rate": 1e-2, "momentum": 0.9},
    ),
    Optimizer("Adan", STATE_4, optax="adan", apart=("optax",)),
    Optimizer("AdaBelief", STATE_2, optax="adabelief"),
    Optimizer("AdEMAMix", STATE_3, optax="ademamix"),
    Optimizer("ADOPT", STATE_2, optax="adopt"),
    Optimizer("Yogi", STATE_2, optax="yogi"),
    Optimizer("NovoGrad", ((1, 0), (3, 2)), optax="novograd", optax_options={"b1": 0.95, "b2": 0.98, "eps": 1e-8}),
    Optimizer("Signum", STATE_1, optax="signum"),
    Optimizer("Prodigy", ((4, 1), (4, 3)), options={"lr": 1.0}, optax="prodigy", apart=("optax",)),
    Optimizer("ScheduleFreeSGD", STATE_1, optax="schedule_free_sgd"),
    Optimizer("ScheduleFreeAdamW", STATE_2, optax="schedule_free_adamw"),
    # A gradient that stays the same is, in its own basis, rounding beside the diagonal, which Adam enlarges.
    Optimizer("SOAP", STATE_2, form="matrix", apart=("NumPy",), most=1_000_000),
)


def _alone(name: str) -> Optimizer:
    """One that no peer has, and whose step is one pass over its states."""
    kind = getattr(schuss, name)
    states = len(_core.states_of(kind([np.zeros(1)]).param_groups[0], (1,), np.dtype(np.float64)))
    return Optimizer(name, (STATE_1, STATE_2, STATE_3, STATE_4)[states - 1])


_NAMES = {row.name for row in LISTED}
ALL = (*LISTED, *(_alone(kind.__name__) for kind in schuss.optim.BY_NAME.values() if kind.__name__ not in _NAMES))


def present(names: Sequence[str] = ()) -> list[Optimizer]:
    """Those that this schuss has; by name, if names are given."""
    wanted = {name.lower() for name in names}
    return [one for one in ALL if hasattr(schuss, one.name) and (not wanted or one.key in wanted)]
