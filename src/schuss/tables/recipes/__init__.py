"""Recipes: networks for tables with all that their training takes."""

from collections.abc import Callable

from .base import Member, Recipe, Task, Training
from .mlp import MLP
from .realmlp import RealMLP, RealMLPS
from .tabm import TabM

#: Each recipe by its name.
BY_NAME: dict[str, Callable[..., Recipe]] = {kind.name: kind for kind in (RealMLP, RealMLPS, TabM, MLP)}

__all__ = ["BY_NAME", "MLP", "Member", "RealMLP", "RealMLPS", "Recipe", "TabM", "Task", "Training"]
