"""A comparison with numbers that nobody has measured: something of each kind that may occur."""

from __future__ import annotations

from math import exp, nan

from schuss.comparison import Comparison, Contender, Other, Run, Tried

EPOCHS, STEPS_PER_EPOCH = 12, 10


def _run(seed: int, speed: float, floor: float, validation: bool, cost: float) -> Run:
    losses = tuple(
        floor + (2.3 - floor) * exp(-speed * step / 20) * (1 + 0.05 * ((7 * step + seed) % 5 - 2))
        for step in range(EPOCHS * STEPS_PER_EPOCH)
    )
    train = tuple(sum(losses[STEPS_PER_EPOCH * k : STEPS_PER_EPOCH * (k + 1)]) / STEPS_PER_EPOCH for k in range(EPOCHS))
    held = tuple(loss * 1.1 + 0.002 * k for k, loss in enumerate(train)) if validation else None
    seconds = tuple(cost * (k + 1) for k in range(EPOCHS))
    return Run(seed, losses, train, held, seconds, 0.9 - floor / 10 - 0.01 * seed, False)


def _contender(
    label: str, name: str, arguments: dict[str, object], lr: float, speed: float, floor: float, validation: bool
) -> Contender:
    runs = tuple(
        _run(seed, speed, floor + 0.01 * seed, validation, 0.001 + 0.0005 * len(arguments)) for seed in range(3)
    )
    best = runs[1].best
    tried = []
    for power in range(-4, 5):
        for seed in range(3):
            steps = 15 * 2 ** max(0, 3 - abs(power))
            loss = nan if power >= 3 else best * (1 + 0.1 * power**2 + 0.02 * seed)
            tried.append(Tried(lr * 2.0**power, steps, seed, loss))
    return Contender(
        label,
        name,
        arguments,
        lr,
        (lr / 4, lr * 2),
        tuple(tried),
        runs,
        best,
        runs[1].judged[-1],
        runs[2].best - runs[0].best,
        runs[1].score,
        60.0 if speed > 1 else None,
        0.006 if speed > 1 else None,
        best * 1.01,
    )


def example(*, validation: bool = True, diverged: bool = True, others: bool = True) -> Comparison:
    """Six contenders, of which one finished with no rate, one never reaches the target, and two are close."""
    contenders = [
        _contender("Adam", "adam", {}, 0.004, 4.0, 0.100, validation),
        _contender("AdamW", "adamw", {"weight_decay": 0.01}, 0.004, 3.9, 0.102, validation),
        _contender("RMSProp", "rmsprop", {}, 0.001, 3.5, 0.12, validation),
        _contender("SGD + momentum", "sgd", {"momentum": 0.9}, 0.05, 3.0, 0.15, validation),
        _contender("SGD", "sgd", {}, 0.4, 0.8, 0.4, validation),
    ]
    if diverged:
        tried = tuple(Tried(2.0**power, 15, seed, nan) for power in range(3) for seed in range(3))
        contenders.append(
            Contender("Lion", "lion", {}, nan, (nan, nan), tried, (), nan, nan, nan, nan, None, None, nan)
        )
    models = (
        Other("majority", 2.31, 0.11, 0.0001),
        Other("linear", 0.31, 0.84, 0.02),
        Other("gradient boosting", 0.22, 0.9, 0.41),
    )
    return Comparison(
        name="numbers",
        task="classification",
        rows=320,
        validation_rows=80 if validation else 0,
        features=64,
        loss="cross_entropy",
        metric="accuracy",
        judged="validation" if validation else "training",
        network="64-100-10, relu, 7510 parameters",
        batch_size=32,
        steps=EPOCHS * STEPS_PER_EPOCH,
        every=STEPS_PER_EPOCH,
        epochs=float(EPOCHS),
        seconds=0.012,
        seeds=(0, 1, 2),
        start=2.4,
        target=0.35,
        contenders=tuple(contenders),
        others=models if others else (),
        recommended="Adam",
        lead=(contenders[1].best - contenders[0].best) / contenders[1].best,
        within_spread=True,
        took=3.2,
        notes=("Columns were scaled by the training rows' means and standard deviations.",),
    )
