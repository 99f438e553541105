"""What a model's file says of its training, so that another can go on from it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

from ..arguments import number
from ..tables import DataError, TableModel, load_table
from ..tables.recipes import BY_NAME, Recipe

KEY = "command"  # where the model's recipe holds what `schuss train` was told


@dataclass(frozen=True)
class Told:
    """What decides which rows are for what, and by what a training was judged.

    Attributes
    ----------
    rows : int
        Of the table that have a target.
    test, validation : float
    seed : int
    refit : bool
    class_weight, loss, metric : str or None
    """

    rows: int
    test: float
    validation: float
    seed: int
    refit: bool
    class_weight: str | None
    loss: str | None
    metric: str | None

    def within(self, model: TableModel) -> TableModel:
        """The model with this in what its file says of its recipe."""
        told = {field.name: getattr(self, field.name) for field in fields(self)}
        return replace(model, recipe={**model.recipe, KEY: told})


def load(path: Path | None) -> tuple[TableModel, Told, Recipe]:
    """A model to go on from, what its training was told, and its recipe.

    Raises
    ------
    DataError
        If there is none, it is not of schuss train, or it has trained on the rows that validated it.
    """
    from ..files.header import optional, record, text, truth, whole

    if path is None or not path.exists():
        raise DataError(f"--resume: there is no model {path or ''} to go on from; --save says which")
    model = load_table(path)

    def share(name: str, value: Any) -> float:
        return number(name, value, "[0, 1)")

    check = record(
        {
            "rows": whole(1, 2**62),
            "test": share,
            "validation": share,
            "seed": whole(0, 2**31 - 1),
            "refit": truth,
            "class_weight": optional(text),
            "loss": optional(text),
            "metric": optional(text),
        }
    )
    numbers = dict(model.recipe)
    try:
        told = Told(**check("its recipe.command", numbers.pop(KEY, None)))
        recipe = recipe_from(numbers)
    except (KeyError, TypeError, ValueError) as error:
        raise DataError(f"{path}: --resume needs a model of schuss train; {error}") from None
    if told.refit:
        raise DataError(f"{path}: was refitted on the rows that validated it, so that none are left to go on by")
    return model, told, recipe


def recipe_from(data: Mapping[str, Any]) -> Recipe:
    """Inverse of `Recipe.to_dict`."""
    given: dict[str, Any] = {key: tuple(value) if isinstance(value, list) else value for key, value in data.items()}
    return BY_NAME[given.pop("recipe")](**given)
