"""The table of optimizers and options that the tests of the update rules go through."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from schuss.optim import BY_NAME

from . import adaptive, optim

RULE_OF = {kind.__name__: kind._rule for kind in BY_NAME.values()}
# The state that initial_accumulator_value is of, and its default.
ACCUMULATOR = {"AdaGrad": (0, 0.0), "RowAdaGrad": (0, 0.0), "Yogi": (1, 1e-6), "FTRL": (0, 0.1)}


@dataclass(frozen=True, eq=False)
class Case:
    """An optimizer with options under the names of its constructor, and the stages before its rule."""

    optimizer: str
    options: dict[str, Any] = field(default_factory=dict)
    stages: dict[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        parts = [f"{k}={v}" for k, v in (self.options | self.stages).items()]
        return "-".join([self.optimizer, *parts]).replace(" ", "")

    @property
    def group(self) -> dict[str, Any]:
        """The options as a group of the core's stepper."""
        given = {"weight_decay": 0.01, "decoupled": True} if self.optimizer == "AdamW" else {}
        given |= {k: v for k, v in self.options.items() if k != "initial_accumulator_value"}
        return optim.options(RULE_OF[self.optimizer], **given)

    @property
    def starts(self) -> list[float]:
        """What each state is filled with before the first step."""
        if self.optimizer == "Rprop":
            return [0.0, self.group["lr"]]
        starts = [0.0] * optim.slots(self.group)
        if self.optimizer in ACCUMULATOR:
            slot, default = ACCUMULATOR[self.optimizer]
            starts[slot] = float(self.options.get("initial_accumulator_value", default))
        return starts


RULE_CASES = [
    Case("SGD"),
    Case("SGD", {"lr": 0.3}),
    Case("SGD", {"lr": 0.1, "maximize": True}),
    Case("SGD", {"lr": 0.1, "weight_decay": 0.03}),
    Case("SGD", {"lr": 0.1, "momentum": 0.9}),
    Case("SGD", {"lr": 0.1, "momentum": 0.9, "dampening": 0.3}),
    Case("SGD", {"lr": 0.1, "momentum": 0.9, "nesterov": True}),
    Case("SGD", {"lr": 0.1, "momentum": 0.7, "nesterov": True, "weight_decay": 0.1, "maximize": True}),
    Case("SGD", {"lr": 0.1, "momentum": 0.7, "dampening": 0.5, "weight_decay": 0.1, "maximize": True}),
    Case("AdaGrad"),
    Case("AdaGrad", {"lr": 0.1, "lr_decay": 0.07}),
    Case("AdaGrad", {"lr": 0.1, "initial_accumulator_value": 0.3}),
    Case("AdaGrad", {"lr": 0.1, "eps": 0.01}),
    Case("AdaGrad", {"lr": 0.1, "weight_decay": 0.1, "maximize": True, "lr_decay": 0.1}),
    Case("RowAdaGrad"),
    Case("RowAdaGrad", {"lr": 0.1, "lr_decay": 0.07, "initial_accumulator_value": 0.3}),
    Case("RowAdaGrad", {"lr": 0.1, "eps": 0.01, "weight_decay": 0.1, "maximize": True}),
    Case("RMSProp"),
    Case("RMSProp", {"lr": 0.1, "alpha": 0.8}),
    Case("RMSProp", {"lr": 0.1, "eps": 0.01}),
    Case("RMSProp", {"lr": 0.1, "momentum": 0.9}),
    Case("RMSProp", {"lr": 0.1, "centered": True}),
    Case("RMSProp", {"lr": 0.1, "centered": True, "momentum": 0.6}),
    Case("RMSProp", {"lr": 0.1, "weight_decay": 0.1, "maximize": True, "momentum": 0.5, "centered": True}),
    Case("Adam"),
    Case("Adam", {"lr": 0.1}),
    Case("Adam", {"lr": 0.1, "betas": (0.5, 0.9)}),
    Case("Adam", {"lr": 0.1, "betas": (0.0, 0.99)}),
    Case("Adam", {"lr": 0.1, "eps": 0.01}),
    Case("Adam", {"lr": 0.1, "amsgrad": True, "betas": (0.9, 0.7)}),
    Case("Adam", {"lr": 0.1, "weight_decay": 0.1}),
    Case("Adam", {"lr": 0.1, "weight_decay": 0.1, "amsgrad": True, "maximize": True}),
    Case("Adam", {"lr": 0.1, "weight_decay": 0.1, "decoupled_weight_decay": True}),
    Case("AdamW"),
    Case("AdamW", {"lr": 0.1, "weight_decay": 0.0}),
    Case("AdamW", {"lr": 0.1, "weight_decay": 0.3, "eps": 0.001}),
    Case("AdamW", {"lr": 0.1, "weight_decay": 0.3, "amsgrad": True, "maximize": True, "betas": (0.8, 0.9)}),
    Case("Adadelta"),
    Case("Adadelta", {"lr": 0.5, "rho": 0.7, "eps": 0.001}),
    Case("Adadelta", {"weight_decay": 0.1, "maximize": True}),
    Case("Adamax"),
    Case("Adamax", {"lr": 0.1, "betas": (0.8, 0.7), "eps": 0.001}),
    Case("Adamax", {"lr": 0.1, "weight_decay": 0.1, "maximize": True}),
    Case("NAdam"),
    Case("NAdam", {"lr": 0.1, "betas": (0.8, 0.7), "eps": 0.001, "momentum_decay": 0.3}),
    Case("NAdam", {"lr": 0.1, "betas": (0.0, 0.7), "momentum_decay": 0.0}),
    Case("NAdam", {"lr": 0.1, "weight_decay": 0.1, "maximize": True, "momentum_decay": 100.0}),
    Case("NAdam", {"lr": 0.1, "weight_decay": 0.1, "decoupled_weight_decay": True}),
    Case("RAdam"),
    Case("RAdam", {"lr": 0.1, "betas": (0.8, 0.9), "eps": 0.001}),
    Case("RAdam", {"lr": 0.01, "betas": (0.0, 0.5)}),
    Case("RAdam", {"lr": 0.1, "weight_decay": 0.1, "maximize": True}),
    Case("RAdam", {"lr": 0.1, "weight_decay": 0.1, "decoupled_weight_decay": True}),
    Case("AdaBelief"),
    Case("AdaBelief", {"lr": 0.1, "betas": (0.8, 0.9), "eps": 0.001, "weight_decay": 0.1}),
    Case("AdaBelief", {"lr": 0.1, "weight_decay": 0.1, "decoupled_weight_decay": False, "maximize": True}),
    Case("AdaBelief", {"lr": 0.1, "betas": (0.9, 0.7), "amsgrad": True}),
    Case("AdaBelief", {"lr": 0.1, "betas": (0.9, 0.99), "rectify": True}),
    Case("AdaBelief", {"lr": 0.1, "betas": (0.9, 0.99), "rectify": True, "amsgrad": True}),
    Case("Lion"),
    Case("Lion", {"lr": 0.01, "betas": (0.0, 0.5)}),
    Case("Lion", {"lr": 0.01, "betas": (0.95, 0.98), "weight_decay": 0.3}),
    Case("Lion", {"lr": 0.01, "weight_decay": 0.3, "maximize": True}),
    Case("Signum"),
    Case("Signum", {"lr": 0.01, "momentum": 0.0}),
    Case("Signum", {"lr": 0.01, "momentum": 0.5, "weight_decay": 0.3}),
    Case("Signum", {"lr": 0.01, "weight_decay": 0.3, "decoupled_weight_decay": True, "maximize": True}),
    Case("Signum", {"lr": 0.01, "momentum": 0.0, "weight_decay": 0.3, "decoupled_weight_decay": True}),
    Case("ASGD"),
    Case("ASGD", {"lr": 0.3, "lambd": 0.1, "alpha": 0.6, "t0": 3.0}),
    Case("ASGD", {"lr": 0.1, "lambd": 0.1, "t0": 0.0, "weight_decay": 0.1, "maximize": True}),
    Case("ASGD", {"lr": 0.1, "lambd": 0.0, "alpha": 1.0, "t0": 20.0}),
    Case("ScheduleFreeSGD", {"lr": 0.1}),
    Case("ScheduleFreeSGD", {"lr": 0.1, "momentum": 0.5, "weight_decay": 0.1, "warmup_steps": 7}),
    Case("ScheduleFreeSGD", {"lr": 0.1, "r": 0.7, "weight_lr_power": 0.0, "weight_decay": 0.1, "maximize": True}),
    Case("ScheduleFreeAdamW"),
    Case("ScheduleFreeAdamW", {"lr": 0.1, "betas": (0.95, 0.9), "weight_decay": 0.1, "warmup_steps": 30}),
    Case("ScheduleFreeAdamW", {"lr": 0.1, "r": 1.0, "weight_lr_power": 1.5, "eps": 0.01, "maximize": True}),
    Case("Rprop"),
    Case("Rprop", {"lr": 0.1, "etas": (0.3, 1.5), "step_sizes": (0.01, 0.2)}),
    Case("Rprop", {"lr": 0.001, "step_sizes": (0.002, 0.003), "maximize": True}),
    Case("Yogi"),
    Case("Yogi", {"lr": 0.1, "betas": (0.8, 0.9), "eps": 1e-6, "initial_accumulator_value": 0.3}),
    Case("Yogi", {"lr": 0.1, "weight_decay": 0.1, "maximize": True}),
    Case("Yogi", {"lr": 0.1, "weight_decay": 0.1, "decoupled_weight_decay": True}),
    Case("ADOPT"),
    Case("ADOPT", {"lr": 0.1, "betas": (0.8, 0.9), "eps": 0.3, "clip": False}),
    Case("ADOPT", {"lr": 0.1, "weight_decay": 0.1, "maximize": True}),
    Case("ADOPT", {"lr": 0.1, "weight_decay": 0.1, "decoupled_weight_decay": True}),
    Case("AdEMAMix"),
    Case("AdEMAMix", {"lr": 0.01, "betas": (0.8, 0.9, 0.99), "alpha": 8.0, "eps": 0.001, "weight_decay": 0.1}),
    Case("AdEMAMix", {"lr": 0.01, "betas": (0.9, 0.99, 0.999), "alpha_warmup": 40, "beta3_warmup": 30.0}),
    Case("AdEMAMix", {"lr": 0.01, "betas": (0.0, 0.99, 0.9), "beta3_warmup": 100, "maximize": True}),
    Case("AdEMAMix", {"lr": 0.01, "betas": (0.9, 0.99, 0.5), "beta3_warmup": 100, "alpha_warmup": 1}),
    Case("Adan"),
    Case("Adan", {"lr": 0.1, "betas": (0.8, 0.7, 0.9), "eps": 0.001}),
    Case("Adan", {"lr": 0.1, "weight_decay": 0.1, "maximize": True}),
    Case("Adan", {"lr": 0.1, "weight_decay": 0.1, "no_prox": True}),
    Case("FTRL"),
    Case("FTRL", {"lr": 0.1, "l1": 0.3, "l2": 0.01, "beta": 0.5}),
    Case("FTRL", {"lr": 0.1, "l2_shrinkage": 0.1, "maximize": True}),
    Case("FTRL", {"lr": 0.1, "initial_accumulator_value": 0.0}),
    Case("FTRL", {"lr": 0.1, "lr_power": -0.7, "l1": 0.1, "initial_accumulator_value": 2.0}),
    Case("FTRL", {"lr": 0.1, "lr_power": 0.0, "beta": 0.1}),
]

RULE_CASES += [Case(*case) for case in adaptive.CASES]

# Other libraries' forms: tests of their own compare them with those.
DIALECT_CASES = [
    Case("SGD", {"lr": 0.1, "weight_decay": 0.1, "dialect": "keras"}),
    Case("SGD", {"lr": 0.1, "momentum": 0.9, "dialect": "keras"}),
    Case("SGD", {"lr": 0.1, "momentum": 0.9, "nesterov": True, "weight_decay": 0.1, "dialect": "keras"}),
    Case("SGD", {"lr": 0.1, "momentum": 0.9, "dampening": 0.3, "maximize": True, "dialect": "sklearn"}),
    Case("SGD", {"lr": 0.1, "momentum": 0.9, "nesterov": True, "weight_decay": 0.1, "dialect": "sklearn"}),
    Case("AdaGrad", {"lr": 0.1, "eps": 0.01, "initial_accumulator_value": 0.1, "dialect": "keras"}),
    Case("RMSProp", {"lr": 0.1, "eps": 0.01, "weight_decay": 0.1, "dialect": "keras"}),
    Case("RMSProp", {"lr": 0.1, "eps": 0.01, "centered": True, "momentum": 0.6, "dialect": "keras"}),
    Case("RMSProp", {"lr": 0.1, "eps": 0.01, "momentum": 0.6, "maximize": True, "dialect": "keras"}),
    Case("Adam", {"lr": 0.1, "eps": 0.01, "weight_decay": 0.1, "dialect": "keras"}),
    Case("Adam", {"lr": 0.1, "eps": 0.01, "amsgrad": True, "betas": (0.9, 0.7), "dialect": "keras"}),
    Case("Adam", {"lr": 0.1, "eps": 0.01, "weight_decay": 0.1, "maximize": True, "dialect": "sklearn"}),
    Case("AdamW", {"lr": 0.1, "eps": 0.01, "dialect": "keras"}),
    Case("Adadelta", {"weight_decay": 0.1, "dialect": "keras"}),
    Case("Adamax", {"lr": 0.1, "eps": 0.01, "weight_decay": 0.1, "dialect": "keras"}),
    Case("NAdam", {"lr": 0.1, "eps": 0.01, "weight_decay": 0.1, "dialect": "keras"}),
]
RULE_CASES += DIALECT_CASES

# The gradients of the tests have a norm of about 75 (and half or twice that): clipping to it acts on some steps only.
STAGE_CASES = [
    Case("SGD", {"lr": 0.1}, {"grad_scale": 0.37}),
    Case("SGD", {"lr": 0.1}, {"clip_value": 0.8}),
    Case("SGD", {"lr": 0.1}, {"clip_norm": 75.0}),
    Case("SGD", {"lr": 0.1, "momentum": 0.9, "maximize": True}, {"clip_norm": 75.0}),
    Case("SGD", {"lr": 0.1, "weight_decay": 0.1}, {"grad_scale": 3.7, "clip_value": 2.0, "clip_norm": 50.0}),
    Case("AdaGrad", {"maximize": True}, {"grad_scale": 3.7, "clip_value": 2.0, "clip_norm": 50.0}),
    Case("RMSProp", {"weight_decay": 0.1}, {"grad_scale": 3.7, "clip_value": 2.0, "clip_norm": 50.0}),
    Case("Adam", {"maximize": True, "weight_decay": 0.1}, {"grad_scale": 3.7, "clip_value": 2.0, "clip_norm": 50.0}),
    Case("AdamW", {"lr": 0.1}, {"grad_scale": 0.37, "clip_norm": 1.0}),
    Case("Lion", {"lr": 0.01, "weight_decay": 0.3}, {"grad_scale": 0.37, "clip_value": 0.2, "clip_norm": 1.0}),
    Case("ASGD", {"lr": 0.1, "t0": 0.0}, {"grad_scale": 0.37, "clip_value": 0.2, "clip_norm": 1.0}),
    Case("ScheduleFreeAdamW", {"weight_decay": 0.1}, {"grad_scale": 0.37, "clip_value": 0.2, "clip_norm": 1.0}),
    Case("Rprop", {}, {"grad_scale": 0.37, "clip_value": 0.2, "clip_norm": 1.0}),
    Case("Signum", {"lr": 0.01, "weight_decay": 0.3}, {"grad_scale": 0.37, "clip_value": 0.2, "clip_norm": 1.0}),
]

# Rules that take sums over whole arrays first. Their twins need arrays as they are, not one long one.
MEASURED_CASES = [
    Case("LARS", {"lr": 10.0}),
    Case("LARS", {"lr": 10.0, "momentum": 0.0}),
    Case("LARS", {"lr": 10.0, "momentum": 0.0, "weight_decay": 0.1, "maximize": True}),
    Case("LARS", {"lr": 10.0, "weight_decay": 0.1, "eps": 0.1}),
    Case("LARS", {"lr": 10.0, "trust_coefficient": 0.01, "nesterov": True, "weight_decay": 0.1}),
    Case("LARS", {"lr": 0.01, "adapt": False, "nesterov": True}),
    Case("LAMB"),
    Case("LAMB", {"lr": 0.01, "betas": (0.8, 0.9), "eps": 0.01, "weight_decay": 0.1}),
    Case("LAMB", {"lr": 0.01, "clamp": (1.0, 10.0), "maximize": True, "weight_decay": 0.1}),
    Case("LAMB", {"lr": 0.01, "bias_correction": False, "adapt": False}),
    Case("NovoGrad"),
    Case("NovoGrad", {"lr": 0.01, "betas": (0.9, 0.25), "eps": 0.1, "weight_decay": 0.1}),
    Case("Prodigy"),
    Case("Prodigy", {"lr": 0.5, "betas": (0.8, 0.9), "beta3": 0.95, "eps": 1e-3, "weight_decay": 0.1, "d0": 1e-3}),
    Case("Prodigy", {"weight_decay": 0.1, "decouple": False, "use_bias_correction": True, "d_coef": 2.0, "d0": 0.1}),
    Case("Prodigy", {"lr": 0.1, "safeguard_warmup": True, "growth_rate": 1.5, "maximize": True, "d0": 0.01}),
    Case("NovoGrad", {"lr": 0.01, "betas": (0.9, 0.0), "maximize": True, "weight_decay": 0.1, "grad_averaging": True}),
]

# The norm of all gradients of the tests is about 600.
MEASURED_STAGE_CASES = [
    Case("LARS", {"lr": 10.0, "weight_decay": 0.1}, {"grad_scale": 3.7, "clip_value": 2.0, "clip_norm": 400.0}),
    Case("LAMB", {"maximize": True}, {"grad_scale": 3.7, "clip_value": 2.0, "clip_norm": 400.0}),
    Case("NovoGrad", {"weight_decay": 0.1}, {"grad_scale": 3.7, "clip_value": 2.0, "clip_norm": 400.0}),
    Case("Prodigy", {"weight_decay": 0.1}, {"grad_scale": 3.7, "clip_value": 2.0, "clip_norm": 400.0}),
]

# Rules that take whole arrays.
ARRAY_CASES = [
    Case("Adafactor"),
    Case("Adafactor", {"lr": 0.1, "weight_decay": 0.3, "maximize": True}),
    Case("Adafactor", {"eps": (0.5, 0.2), "beta2_decay": -0.5}),
    Case("Adafactor", {"d": 1.1, "beta2_decay": 0.0}),
    Case("Adafactor", {"d": 1.5, "eps": (1e-30, 0.0)}),
]
MATRIX_CASES = [
    Case("Muon"),
    Case("Muon", {"lr": 0.1, "weight_decay": 0.3, "adjust_lr_fn": "match_rms_adamw", "maximize": True}),
    Case("Muon", {"lr": 0.1, "nesterov": False, "momentum": 0.5, "adjust_lr_fn": "original"}),
    Case("Muon", {"lr": 0.1, "ns_coefficients": (1.5, -0.5, 0.0), "ns_steps": 3, "weight_decay": 0.0}),
    Case("Muon", {"lr": 0.1, "eps": 500.0, "ns_steps": 1, "momentum": 0.0}),
]
SOAP_CASES = [
    Case("SOAP", {"lr": 0.1, "precondition_frequency": 2}),
    Case("SOAP", {"lr": 0.1, "precondition_frequency": 3, "weight_decay": 0.3, "maximize": True, "eps": 0.1}),
    Case("SOAP", {"lr": 0.1, "betas": (0.8, 0.9), "shampoo_beta": 0.5, "precondition_frequency": 1}),
    Case("SOAP", {"lr": 0.1, "shampoo_beta": None, "correct_bias": False, "precondition_1d": True}),
    Case("SOAP", {"lr": 0.1, "normalize_grads": True, "max_precond_dim": 30, "precondition_frequency": 2}),
    Case("SOAP", {"lr": 0.1, "merge_dims": True, "max_precond_dim": 50, "precondition_frequency": 2}),
]
ARRAY_STAGES = [{"grad_scale": 0.37}, {"clip_value": 0.8}, {"grad_scale": 3.7, "clip_value": 2.0, "clip_norm": 50.0}]
