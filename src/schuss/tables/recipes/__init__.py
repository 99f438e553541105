"""Recipes: networks for tables with all that their training takes."""

from collections.abc import Callable

from .base import Member, Recipe, Task, Training
from .realmlp import RealMLP, RealMLPS

#: Each recipe by its name.
BY_NAME: dict[str, Callable[..., Recipe]] = {kind.name: kind for kind in (RealMLP, RealMLPS)}

__all__ = ["BY_NAME", "Member", "RealMLP", "RealMLPS", "Recipe", "Task", "Training"]
