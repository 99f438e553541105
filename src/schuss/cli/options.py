"""What options say, checked: recipes with other numbers, losses, fractions of the rows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Annotated, Any, TypeAlias

import typer

from ..arguments import choice, integer, number
from ..datasets import NAMES
from ..losses import Loss
from ..tables.heads import resolved
from ..tables.recipes import BY_NAME, Recipe

# Of every command that trains on a table.
DataArgument: TypeAlias = Annotated[
    str, typer.Argument(help=f"A file (CSV, Parquet, Excel, JSON, ...), or {', '.join(NAMES)}.")
]
TargetOption: TypeAlias = Annotated[
    str | None, typer.Option(help="Column to predict.", show_default="target, label, class, y, or the last")
]
TaskOption: TypeAlias = Annotated[
    str | None, typer.Option(help="classification or regression.", show_default="found out from the target")
]

# By which an epoch is the best.
METRICS_OF_CLASSES = ("error", "accuracy", "balanced_accuracy", "log_loss", "auc", "loss")
METRICS = ("rmse", "mae", "r2", "loss")
DEFAULT_RECIPE = "realmlp"
AUTO = "auto"  # what --lr may be beside a number
BALANCED = "balanced"  # what --class-weight may be beside weights by name
# Options that are numbers of one recipe only: the others' networks are not made of these.
OF_MLP = {
    "hidden": "--hidden",
    "activation": "--activation",
    "dropout": "--dropout",
    "optimizer_name": "--optimizer",
    "weight_decay": "--weight-decay",
    "patience": "--patience",
}


def named(recipe: str) -> Recipe:
    """A recipe with its own numbers. ValueError: there is no such one."""
    return BY_NAME[choice("--recipe", recipe, BY_NAME)]()


def recipe_with(recipe: Recipe, given: Mapping[str, Any]) -> Recipe:
    """A recipe with what was given in place of its own numbers; None is nothing given.

    Raises
    ------
    ValueError
        If an option is for another recipe.
    """
    asked = {key: value for key, value in given.items() if value is not None}
    for key in asked:
        if key in OF_MLP and recipe.name != "mlp":
            option = OF_MLP[key]
            raise ValueError(f"{option} is for --recipe mlp; {recipe.name} has a number of its own for it")
    return replace(recipe, **asked)


def hidden_sizes(text: str) -> tuple[int, ...]:
    """What --hidden says: 100,50 is (100, 50); 0 or nothing is ()."""
    if text.strip() in ("", "0"):
        return ()
    try:
        return tuple(integer("--hidden", int(part), 1) for part in text.split(","))
    except ValueError:
        raise ValueError(f"--hidden must be units such as 100,50, or 0 for none; got {text!r}") from None


def rate_of(text: str | None) -> float | None:
    """What --lr says: a number above 0; None for nothing, and for auto.

    Raises
    ------
    ValueError
        If it is neither.
    """
    if text is None or text.strip() == AUTO:
        return None
    try:
        return number("--lr", float(text), "(0, inf)")
    except ValueError:
        raise ValueError(f"--lr must be a number above 0, or {AUTO}; got {text!r}") from None


def loss_of(text: str | None, classes: bool) -> Loss | None:
    """What --loss says: a name, and after = the loss's number, or numbers, where it has one.

    Raises
    ------
    ValueError
        If it is not known, is not for the task, or does not take the number.
    """
    if text is None:
        return None
    name, equals, value = text.partition("=")
    try:
        loss = resolved(name.strip(), classes)
    except ValueError as error:
        raise ValueError(f"--{error}") from None
    assert loss is not None
    if not equals:
        return loss
    if not loss._number:
        raise ValueError(f"--loss {name} has no number; got {text!r}")
    try:
        numbers = tuple(map(float, value.split(",")))
    except ValueError:
        raise ValueError(f"--loss {name} takes a number, such as {name}=0.5; got {text!r}") from None
    try:
        made: Any = type(loss)
        found: Loss = made(numbers[0] if len(numbers) == 1 else numbers)
    except (TypeError, ValueError) as error:
        raise ValueError(f"--loss {name}: {error}") from None
    return found


def metric_of(text: str | None, classes: bool) -> str | None:
    """What --metric says. ValueError: it is not known, or for another task."""
    if text is None:
        return None
    return choice("--metric", text.strip().lower().replace("-", "_"), METRICS_OF_CLASSES if classes else METRICS)


def class_weights(text: str) -> dict[str, float] | None:
    """What --class-weight says: weights by the names of classes, or None for balanced.

    Names may hold commas and equals signs: a weight ends where a number does.

    Raises
    ------
    ValueError
        If it is neither, or a weight is not above 0.
    """
    if text.strip() == BALANCED:
        return None
    found: dict[str, float] = {}
    read = ""
    for piece in text.split(","):
        read += piece
        name, _, value = read.rpartition("=")
        try:
            weight = float(value)
        except ValueError:
            read += ","
            continue
        name, read = name.strip(), ""
        if not name:
            break
        if name in found:
            raise ValueError(f"--class-weight has {name!r} twice: {text!r}")
        found[name] = number(f"--class-weight of {name!r}", weight, "(0, inf)")
    else:
        if not read:
            return found
    raise ValueError(
        f"--class-weight {text!r} is not known; it must be {BALANCED}, or weights by name such as yes=3,no=1"
    )


def check_fractions(test: float, validation: float) -> None:
    """ValueError unless both are such and leave rows to train on."""
    number("--test", test, "[0, 1)")
    number("--validation", validation, "[0, 1)")
    if test + validation >= 1:
        raise ValueError(
            f"--test {test:g} and --validation {validation:g} leave no rows to train on; their sum must be below 1"
        )
