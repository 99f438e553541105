"""Colours of drawings, for light and dark backgrounds, and which optimizer has which.

The eight colours of a theme differ for people with any kind of colour blindness, and stand out from the background
by at least 3 to 1. Markers and strokes differ as well, so that no line is told by its colour alone.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from zlib import crc32


@dataclass(frozen=True)
class Theme:
    """Colours as ``#rrggbb``, each of them once, so that they can be told apart in a file.

    Attributes
    ----------
    background, ink, quiet, grid : str
        Behind everything; of what is read; of what is read last; of lines behind the data.
    series : tuple of str
        Of lines, by place.
    """

    background: str
    ink: str
    quiet: str
    grid: str
    series: tuple[str, ...]


LIGHT = Theme(
    "#ffffff", "#1b1f24", "#57606a", "#d8dee4",
    ("#0b4f9e", "#bf8301", "#368a74", "#d649ae", "#8a2f06", "#139bec", "#749f69", "#5f5f66"),
)  # fmt: skip
DARK = Theme(
    "#14171c", "#e8eaed", "#9aa4b0", "#343b44",
    ("#5e8deb", "#eece44", "#9ee7bf", "#eb90bb", "#e64f1b", "#61befd", "#b3b155", "#8c8485"),
)  # fmt: skip

MARKERS = "os^DvPX*"
STROKES = ("-", "--", ":", "-.")

# Places of those that are compared most, so that each has a colour of its own.
_PLACES = {
    "Adam": 0,
    "SGD + momentum": 1,
    "RMSProp": 2,
    "AdamW": 3,
    "SGD": 4,
    "AdaGrad": 5,
    "Lion": 6,
}


@dataclass(frozen=True)
class Stroke:
    """How a line is drawn.

    Attributes
    ----------
    place : int
        Of its colour in `Theme.series`, and of its marker.
    dashes : str
        As matplotlib names them.
    """

    place: int
    dashes: str

    @property
    def marker(self) -> str:
        return MARKERS[self.place]


def strokes(labels: Iterable[str]) -> dict[str, Stroke]:
    """A stroke for each label, no two the same for up to 32.

    A label's own is the same in every drawing. Where two would have the same colour, the later one in the alphabet
    has the next that is free.
    """
    wanted = sorted(set(labels), key=lambda label: (label not in _PLACES, label))
    colours = len(LIGHT.series)
    taken: dict[str, Stroke] = {}
    for number, label in enumerate(wanted):
        dashes = STROKES[min(number // colours, len(STROKES) - 1)]
        first = _PLACES.get(label, crc32(label.encode()) % colours)
        places = [(first + k) % colours for k in range(colours)]
        used = [one.place for one in taken.values() if one.dashes == dashes]
        place = min(places, key=lambda one: used.count(one))
        taken[label] = Stroke(place, dashes)
    return taken
