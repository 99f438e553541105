"""Recipes: networks for tables with all that their training takes."""

from .base import Member, Recipe, Task, Training
from .realmlp import RealMLP, RealMLPS

__all__ = ["Member", "RealMLP", "RealMLPS", "Recipe", "Task", "Training"]
