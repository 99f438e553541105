"""Every optimizer as a `torch.optim.Optimizer`: compiled steps over the tensors of a model on the CPU.

Arguments, groups and states are torch's where torch has the optimizer, so ``torch.optim.AdamW`` becomes
``schuss.torch.AdamW`` and nothing else changes. Formulas and the other arguments stand with the classes of the same
name in `schuss`. Needs torch. ``docs/torch.md`` says what all of them can, and what they refuse.
"""

from __future__ import annotations

try:
    import torch  # noqa: F401
except ImportError:
    raise ImportError("schuss.torch needs torch: see https://pytorch.org/get-started") from None

from .. import optim
from .base import Optimizer
from .muon import Muon
from .schedule_free import ScheduleFreeAdamW, ScheduleFreeSGD

__all__ = [
    "ADOPT",
    "ASGD",
    "FTRL",
    "LAMB",
    "LARS",
    "SGD",
    "SOAP",
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
    "Muon",
    "NAdam",
    "NovoGrad",
    "Optimizer",
    "Prodigy",
    "RAdam",
    "RMSProp",
    "RMSprop",
    "RowAdaGrad",
    "Rprop",
    "ScheduleFreeAdamW",
    "ScheduleFreeSGD",
    "Signum",
    "SparseAdam",
    "Yogi",
]


class SGD(Optimizer, of=optim.SGD, like="SGD"): ...


class Adagrad(Optimizer, of=optim.AdaGrad, like="Adagrad"): ...


class RMSprop(Optimizer, of=optim.RMSProp, like="RMSprop"): ...


class Adam(Optimizer, of=optim.Adam, like="Adam"): ...


class AdamW(Optimizer, of=optim.AdamW, like="AdamW", fixed={"decoupled_weight_decay": True}): ...


class SparseAdam(Optimizer, of=optim.SparseAdam, like="SparseAdam"): ...


class Adadelta(Optimizer, of=optim.Adadelta, like="Adadelta"): ...


class Adafactor(Optimizer, of=optim.Adafactor, like="Adafactor"): ...


class Adamax(Optimizer, of=optim.Adamax, like="Adamax"): ...


class NAdam(Optimizer, of=optim.NAdam, like="NAdam"): ...


class RAdam(Optimizer, of=optim.RAdam, like="RAdam"): ...


class Rprop(Optimizer, of=optim.Rprop, like="Rprop"): ...


class ASGD(Optimizer, of=optim.ASGD, like="ASGD"): ...


class RowAdaGrad(Optimizer, of=optim.RowAdaGrad): ...


class SOAP(Optimizer, of=optim.SOAP): ...


class AdaBelief(Optimizer, of=optim.AdaBelief): ...


class Lion(Optimizer, of=optim.Lion): ...


class Signum(Optimizer, of=optim.Signum): ...


class Yogi(Optimizer, of=optim.Yogi): ...


class LaProp(Optimizer, of=optim.LaProp): ...


class ADOPT(Optimizer, of=optim.ADOPT): ...


class AdEMAMix(Optimizer, of=optim.AdEMAMix): ...


class Adan(Optimizer, of=optim.Adan): ...


class FTRL(Optimizer, of=optim.FTRL): ...


class LARS(Optimizer, of=optim.LARS): ...


class LAMB(Optimizer, of=optim.LAMB): ...


class NovoGrad(Optimizer, of=optim.NovoGrad): ...


class Prodigy(Optimizer, of=optim.Prodigy): ...


# The spellings of `schuss`.
AdaGrad = Adagrad
RMSProp = RMSprop
