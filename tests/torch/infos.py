"""What tests of torch's optimizers go through: each that torch has, too, with every option, and all others once."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from tests.optim.test_rules_torch import TORCH_CASES, TORCH_NAME
from tests.reference.rule_cases import MATRIX_CASES


@dataclass(frozen=True, eq=False)
class Info:
    """An optimizer's name and arguments; whether it takes a gradient of some rows, and any order of elements."""

    name: str
    options: dict[str, Any] = field(default_factory=dict)
    rows: bool = True
    orders: bool = True
    matrices: bool = False

    def __str__(self) -> str:
        return "-".join([self.name, *(f"{k}={v}" for k, v in self.options.items())]).replace(" ", "")

    @property
    def shapes(self) -> list[tuple[int, ...]]:
        """Of parameters that it can step."""
        return [(31, 7), (7, 31), (1, 5)] if self.matrices else [(31, 7), (7,), (1,), (), (3, 4, 5), (1, 9)]


# With every option that torch's optimizer of the name has.
BOTH = [
    Info(TORCH_NAME[case.optimizer], case.options, orders=case.optimizer != "Adafactor")
    for case in TORCH_CASES
    if not {"dialect", "rows"} & set(case.options)
]
MUON = [
    Info("Muon", case.options, rows=False, orders=False, matrices=True)
    for case in MATRIX_CASES
    if case.optimizer == "Muon" and "maximize" not in case.options
]
# The plain form of each that has torch's name, and of all others.
OF_TORCH = [
    Info("SGD"),
    Info("SGD", {"momentum": 0.9}),
    Info("Adam"),
    Info("AdamW"),
    Info("Adagrad"),
    Info("RMSprop"),
    Info("Adadelta"),
    Info("Adamax"),
    Info("NAdam"),
    Info("RAdam"),
    Info("Rprop"),
    Info("ASGD", rows=False),
    Info("Adafactor", rows=False, orders=False),
]
OTHERS = [
    Info("RowAdaGrad", orders=False),
    Info("SOAP", rows=False, orders=False),
    Info("AdaBelief"),
    Info("Lion"),
    Info("Signum"),
    Info("Yogi"),
    Info("LaProp"),
    Info("ADOPT", rows=False),
    Info("AdEMAMix"),
    Info("Adan", rows=False),
    Info("FTRL"),
    Info("LARS", rows=False),
    Info("LAMB", rows=False),
    Info("NovoGrad", rows=False),
    Info("Prodigy", rows=False),
    Info("ScheduleFreeSGD", {"lr": 0.1}, rows=False),
    Info("ScheduleFreeAdamW", rows=False),
]
ALL = [*OF_TORCH, Info("Muon", rows=False, orders=False, matrices=True), *OTHERS]
