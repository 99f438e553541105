"""Functions of one's own minimized by any optimizer, with the conventions of scipy.optimize.minimize."""

from .front import minimize

__all__ = ["minimize"]
