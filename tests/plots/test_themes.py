"""Colours tell optimizers apart for everyone, and an optimizer has the same ones everywhere."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
from numpy.typing import NDArray

from schuss.comparison.candidates import DEFAULTS
from schuss.plots.themes import DARK, LIGHT, MARKERS, STROKES, Theme, strokes

Colours = NDArray[np.float64]
THEMES = {"light": LIGHT, "dark": DARK}
# What eyes without one of the three kinds of cones see of linear light: Machado, Oliveira and Fernandes (2009).
SEEN = {
    "all cones": np.eye(3),
    "protanopia": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
    "deuteranopia": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]],
    "tritanopia": [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]],
}
OF_CONES = [[0.4122214708, 0.5363325363, 0.0514459929], [0.2119034982, 0.6806995451, 0.1073969566],
            [0.0883024619, 0.2817188376, 0.6299787005]]  # fmt: skip
OKLAB = [[0.2104542553, 0.7936177850, -0.0040720468], [1.9779984951, -2.4285922050, 0.4505937099],
         [0.0259040371, 0.7827717662, -0.8086757660]]  # fmt: skip


def linear(*colours: str) -> Colours:
    coded = np.array([[int(colour[k : k + 2], 16) / 255 for k in (1, 3, 5)] for colour in colours])
    return np.where(coded <= 0.04045, coded / 12.92, ((coded + 0.055) / 1.055) ** 2.4)


def oklab(light: Colours) -> Colours:
    return np.cbrt(np.clip(light, 0, 1) @ np.transpose(OF_CONES)) @ np.transpose(OKLAB)


def contrast(a: str, b: str) -> float:
    low, high = sorted((linear(a, b) @ [0.2126, 0.7152, 0.0722]).tolist())
    return float((high + 0.05) / (low + 0.05))


@pytest.mark.parametrize("theme", THEMES.values(), ids=THEMES)
@pytest.mark.parametrize("seen", SEEN.values(), ids=SEEN)
def test_colours_differ_for_all_eyes(theme: Theme, seen: list[list[float]]) -> None:
    lab = oklab(linear(*theme.series) @ np.transpose(seen))
    for a, b in combinations(range(len(lab)), 2):
        assert np.linalg.norm(lab[a] - lab[b]) > 0.08, (theme.series[a], theme.series[b])


@pytest.mark.parametrize("theme", THEMES.values(), ids=THEMES)
def test_colours_stand_out_from_the_background(theme: Theme) -> None:
    assert min(contrast(colour, theme.background) for colour in theme.series) > 2.95
    assert contrast(theme.ink, theme.background) > 12 and contrast(theme.quiet, theme.background) > 4.5
    everything = [theme.background, theme.ink, theme.quiet, theme.grid, *theme.series]
    assert len(set(everything)) == len(everything)  # a page tells them apart by this


def test_a_place_has_a_marker_and_a_colour_in_each_theme() -> None:
    assert len(MARKERS) == len(LIGHT.series) == len(DARK.series) and len(set(MARKERS)) == len(MARKERS)


def test_defaults_have_colours_of_their_own() -> None:
    found = strokes(DEFAULTS)
    assert len({stroke.place for stroke in found.values()}) == len(DEFAULTS)
    assert {stroke.dashes for stroke in found.values()} == {"-"}


def test_the_same_optimizer_looks_the_same_in_any_company() -> None:
    everywhere = strokes(DEFAULTS)
    for label in DEFAULTS:
        assert strokes([label])[label] == everywhere[label]
        assert strokes([label, "Muon", "SOAP", "Prodigy"])[label] == everywhere[label]
        assert strokes(["Prodigy", "adam with small steps", label])[label] == everywhere[label]
    assert strokes(["SOAP"]) == {"SOAP": strokes(["SOAP"])["SOAP"]}
    assert strokes(["A", "B", "C"]) == strokes(["C", "B", "A", "A"])


@pytest.mark.parametrize("count", [8, 20, 32])
def test_many_are_told_apart(count: int) -> None:
    found = strokes([f"optimizer {k}" for k in range(count)])
    assert len({(one.place, one.dashes) for one in found.values()}) == count
    assert {one.dashes for one in found.values()} == set(STROKES[: -(-count // 8)])
    assert len(strokes(map(str, range(40)))) == 40  # more than there are strokes: some are alike
