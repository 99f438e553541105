"""Optimizers, stepped in place over arrays of the caller's. The update rules are compiled; here are their arguments.

Arguments, defaults and formulas are those of ``torch.optim`` where it has the optimizer, else the paper's.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..arguments import unknown_name
from ..habits import teller
from ..rows import Rows
from .accumulation import Accumulate
from .adabelief import AdaBelief
from .adadelta import Adadelta
from .adafactor import Adafactor
from .adagrad import AdaGrad
from .adam import Adam, AdamW
from .adamax import Adamax
from .adan import Adan
from .ademamix import AdEMAMix
from .adopt import ADOPT
from .asgd import ASGD
from .averaging import EMA, SWA, Lookahead
from .averaging import Averaged as Averaged
from .base import Optimizer
from .ftrl import FTRL
from .laprop import LaProp
from .lbfgs import LBFGS
from .muon import Muon
from .nadam import NAdam
from .norms import LAMB, LARS, NovoGrad
from .prodigy import Prodigy
from .radam import RAdam
from .rmsprop import RMSProp
from .rowadagrad import RowAdaGrad
from .rprop import Rprop
from .sam import SAM
from .schedule_free import ScheduleFreeAdamW, ScheduleFreeSGD
from .sgd import SGD
from .signs import Lion, Signum
from .soap import SOAP
from .sparse import SparseAdam
from .switch import Switch
from .yogi import Yogi

__all__ = [
    "ADOPT",
    "ASGD",
    "EMA",
    "FTRL",
    "LAMB",
    "LARS",
    "LBFGS",
    "SAM",
    "SGD",
    "SOAP",
    "SWA",
    "Accumulate",
    "AdEMAMix",
    "AdaBelief",
    "AdaGrad",
    "Adadelta",
    "Adafactor",
    "Adagrad",
    "Adam",
    "AdamW",
    "Adamax",
    "Adan",
    "LaProp",
    "Lion",
    "Lookahead",
    "Muon",
    "NAdam",
    "NovoGrad",
    "Optimizer",
    "Prodigy",
    "RAdam",
    "RMSProp",
    "RMSprop",
    "RowAdaGrad",
    "Rows",
    "Rprop",
    "ScheduleFreeAdamW",
    "ScheduleFreeSGD",
    "Signum",
    "SparseAdam",
    "Switch",
    "Yogi",
]

# torch's spellings.
Adagrad = AdaGrad
RMSprop = RMSProp

BY_NAME: dict[str, type[Optimizer]] = {
    kind._name: kind
    for kind in (
        SGD,
        AdaGrad,
        RowAdaGrad,
        RMSProp,
        Adam,
        AdamW,
        SparseAdam,
        Adadelta,
        Adafactor,
        Muon,
        SOAP,
        Adamax,
        NAdam,
        RAdam,
        AdaBelief,
        Lion,
        Signum,
        Rprop,
        ASGD,
        Yogi,
        LaProp,
        ADOPT,
        AdEMAMix,
        Adan,
        FTRL,
        ScheduleFreeSGD,
        ScheduleFreeAdamW,
        LARS,
        LAMB,
        NovoGrad,
        Prodigy,
    )
}


def by_name(name: str) -> type[Optimizer]:
    """The optimizer class of a name such as "adam"."""
    if name not in BY_NAME:
        raise unknown_name("optimizer", name, BY_NAME)
    return BY_NAME[name]


if not TYPE_CHECKING:
    __getattr__ = teller(__name__)
