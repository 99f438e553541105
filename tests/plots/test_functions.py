"""The functions of two variables that are known by name."""

from __future__ import annotations

import doctest

import numpy as np
import pytest

import schuss
from schuss.plots import FUNCTIONS, functions


@pytest.mark.parametrize("name", FUNCTIONS)
def test_gradients_are_those_of_the_values(name: str) -> None:
    function = FUNCTIONS[name]
    rng = np.random.default_rng(0)
    for point in rng.uniform(-2, 2, size=(20, 2)):
        expected = [
            (function(point + step) - function(point - step)) / 2e-6 for step in (np.array([1e-6, 0]), [0, 1e-6])
        ]
        np.testing.assert_allclose(function.jac(point), expected, rtol=1e-6, atol=1e-5)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_minima_are_the_lowest_points(name: str) -> None:
    function = FUNCTIONS[name]
    grid = np.stack(np.meshgrid(*(np.linspace(low, high, 301) for low, high in function.limits)))
    values = function(grid)
    assert values.shape == (301, 301) and function.jac(grid).shape == grid.shape
    assert values.min() >= function.minimum
    for minimum in function.minima:
        assert function(minimum) == pytest.approx(function.minimum, abs=1e-14)
        np.testing.assert_allclose(function.jac(minimum), 0, atol=1e-12)
        assert all(low < x < high for x, (low, high) in zip(minimum, function.limits, strict=True))
    assert all(low < x < high for x, (low, high) in zip(function.start, function.limits, strict=True))
    assert values[150, 7] == function(grid[:, 150, 7])


def test_they_can_be_minimized() -> None:
    for function in FUNCTIONS.values():
        result = schuss.minimize(function, function.start, jac=function.jac, method="lbfgs")
        distances = [np.abs(result.x - minimum).max() for minimum in function.minima]
        assert min(distances) < 1e-4, function.name


def test_example() -> None:
    assert doctest.testmod(functions).failed == 0
