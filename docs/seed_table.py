"""Writes the tables of docs/seed_table.md from docs/seed_table.json: ``python docs/seed_table.py [--check]``.

Between ``<!-- begin: NAME -->`` and ``<!-- end: NAME -->`` the page is this program's; the rest is written by hand.
With --check nothing is written, and the status is 1 if there was something to write.
"""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

sys.path.append(str(Path(__file__).parents[1]))  # benchmarks/ is beside docs/
from benchmarks.seed_table import ENTRANTS, LADDER, OPTIMIZERS, SWITCH, compared, values

PAGE = Path(__file__).with_suffix(".md")
KEYS = {"training": "training loss", "score": "test rows"}
Found = dict[str, Any]


@dataclass(frozen=True)
class Claim:
    """That an optimizer comes to less than another on tasks of some kinds; by one of KEYS."""

    name: str
    other: str
    key: str
    kinds: tuple[str, ...] = ()

    def outcomes(self, found: Found) -> Iterator[tuple[str, float, float]]:
        """Of each such task how much more it comes to, and two standard errors of that."""
        for title, about in found.items():
            if not self.kinds or about["kind"] in self.kinds:
                yield (title, *compared(about["optimizers"], self.name, self.other, self.key))


# By the number of the claim on the page.
CLAIMS: dict[str, tuple[Claim, ...]] = {
    "1": (Claim("Adam", "SGD", "training"), Claim("Adam", "momentum", "training")),
    "2": (Claim("momentum", "SGD", "training"), Claim("momentum", "SGD", "score")),
    "3": tuple(
        Claim("AdaGrad", other, key, ("rare features",))
        for key in KEYS
        for other in ("SGD", "momentum", "RMSProp", "Adam")
    ),
    "4": (
        Claim("RMSProp", "momentum", "score", ("recurrent",)),
        Claim("RMSProp", "Adam", "score", ("recurrent",)),
    ),
    "5": (
        Claim("momentum", "Adam", "score", ("dense", "convolutional")),
        Claim("momentum", "RMSProp", "score", ("dense", "convolutional")),
    ),
    "6": tuple(Claim(SWITCH, other, key) for key in KEYS for other in ("Adam", "momentum")),
}


def number(value: float) -> str:
    """Three digits, and no power of ten."""
    if abs(value) >= 100:
        return f"{value:.0f}"
    if abs(value) >= 1e-3:
        return f"{value:.3g}"
    return f"{value:.1g}" if abs(value) < 1e-4 else f"{value:.5f}".rstrip("0")


def verdict(more: float, error: float) -> str:
    """In one word."""
    return "same" if abs(more) <= error else "less" if more < 0 else "more"


def lost(of_task: Found, name: str, key: str) -> int:
    """How many seeds have diverged, or come to more than ten times the median."""
    own = values(of_task, name, key)
    return int(np.sum(own > 10 * np.median(own)))


def is_best(of_task: Found, name: str, key: str) -> bool:
    """Whether its mean is the least, or within two standard errors of the least, and no seed is lost."""
    if lost(of_task, name, key):
        return False
    least = min(ENTRANTS, key=lambda one: float(values(of_task, one, key).mean()))
    return name == least or verdict(*compared(of_task, name, least, key)) != "more"


def scores(found: Found, key: str) -> str:
    """The table of one of KEYS."""
    lines = ["| task | " + " | ".join(ENTRANTS) + " |", "| --- |" + " --- |" * len(ENTRANTS)]
    for title, about in found.items():
        cells = []
        for name in ENTRANTS:
            own = values(about["optimizers"], name, key)
            fine = own[np.isfinite(own)]
            text = f"{number(float(fine.mean()))} ± {number(float(fine.std(ddof=1)))}" if len(fine) > 1 else "none"
            if len(fine) < len(own):
                text += f", {len(own) - len(fine)} of {len(own)} diverged"
            cells.append(f"**{text}**" if is_best(about["optimizers"], name, key) else text)
        unit = f", {about['unit']}" if key == "score" else ""
        lines.append(f"| {title}{unit} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def rates(found: Found) -> str:
    """The rates that the search has found: for the training loss; for the test rows, where that is another one."""
    lines = ["| task | steps | " + " | ".join(ENTRANTS) + " |", "| --- | --- |" + " --- |" * len(ENTRANTS)]
    for title, about in found.items():
        cells = []
        for name in ENTRANTS:
            own = [about["optimizers"][name][key] for key in KEYS]
            texts = [", then ".join(f"{rate:g}" for rate in one["rates"]) for one in own]
            if name == SWITCH:
                texts = [f"{text} at {one['share']:.0%}" for text, one in zip(texts, own, strict=True)]
            cells.append("; ".join(dict.fromkeys(texts)))
        lines.append(f"| {title} | {about['steps']} | " + " | ".join(cells) + " |")
    return "\n".join([*lines, "", stray(found)])


def stray(found: Found) -> str:
    """Whose seeds are lost."""
    said = []
    for title, about in found.items():
        for name in ENTRANTS:
            count = lost(about["optimizers"], name, "training")
            if count:
                said.append(f"{count} of {name}'s on {title}")
    if not said:
        return "No seed came to a training loss of more than ten times the median."
    return f"Seeds whose training loss came to more than ten times the median: {listed(said)}."


def beside(found: Found) -> str:
    """What it costs to miss the best rate by a factor of about 3, against what it costs to take another optimizer."""
    worse = []
    for about in found.values():
        own = {name: about["optimizers"][name]["score"] for name in OPTIMIZERS}
        least = {name: min(own[name]["tried"]["1"].values()) for name in own}
        for name in own:
            others = max(least[other] for other in own if other != name)
            place = LADDER.index(own[name]["rates"][0])
            for rate in LADDER[max(0, place - 1) : place] + LADDER[place + 1 : place + 2]:
                worse.append(own[name]["tried"]["1"][f"{rate:g}"] > others)
    return (
        f"- The rate matters more than the name: of {len(worse)} rates about three times too small or too large "
        f"for their optimizer, {sum(worse)} come to a higher validation loss than the worst of the others at its best."
    )


def listed(parts: list[str]) -> str:
    return ", ".join(parts[:-1]) + " and " + parts[-1] if len(parts) > 1 else parts[0]


def counted(claim: Claim, found: Found) -> str:
    """On how many tasks it holds."""
    of = {"less": [], "same": [], "more": []}  # type: dict[str, list[str]]
    for title, more, error in claim.outcomes(found):
        of[verdict(more, error)].append(title)
    words = {"less": "less", "same": "no difference", "more": "more"}
    parts = [f"{words[key]} on {len(titles)}" for key, titles in of.items() if titles]
    return f"{claim.name} against {claim.other}, {KEYS[claim.key]}: {listed(parts)}"


def outcomes(number_of_claim: str) -> Callable[[Found], str]:
    """The table of one claim: what the difference is, task by task."""

    def made(found: Found) -> str:
        claims = CLAIMS[number_of_claim]
        titles = [title for title, *_ in claims[0].outcomes(found)]
        lines = ["| | " + " | ".join(titles) + " |", "| --- |" + " --- |" * len(titles)]
        for claim in claims:
            cells = []
            for _, more, error in claim.outcomes(found):
                text = f"{'+' if more > 0 else ''}{number(more)} ± {number(error)}"
                if math.isinf(more):
                    text = f"{claim.name if more > 0 else claim.other} diverges"
                cells.append(text if verdict(more, error) == "same" else f"**{text}, {verdict(more, error)}**")
            lines.append(f"| {claim.name} − {claim.other}, {KEYS[claim.key]} | " + " | ".join(cells) + " |")
        counts = "\n".join(f"- {counted(claim, found)}." for claim in claims) if len(titles) > 2 else ""
        return "\n".join(lines) + (f"\n\n{counts}" if counts else "")

    return made


BLOCKS: dict[str, Callable[[Found], str]] = {
    "training": lambda found: scores(found, "training"),
    "score": lambda found: scores(found, "score"),
    "rates": rates,
    "beside": beside,
    **{f"claim {name}": outcomes(name) for name in CLAIMS},
}


def filled(page: str, found: Found) -> str:
    """The page with its blocks as the numbers have them."""
    for name, made in BLOCKS.items():
        begin, end = f"<!-- begin: {name} -->\n\n", f"\n\n<!-- end: {name} -->"
        before, opened, rest = page.partition(begin)
        _, closed, after = rest.partition(end)
        if not opened or not closed:
            raise ValueError(f"{PAGE.name} must have a block {name!r}")
        page = before + begin + made(found) + end + after
    return page


def main(*arguments: str) -> int:
    page = PAGE.read_text(encoding="utf-8")
    found = json.loads(PAGE.with_suffix(".json").read_text(encoding="utf-8"))
    wanted = filled(page, found)
    if wanted == page:
        return 0
    if "--check" in arguments:
        print(f"{PAGE.name} is not what its numbers say: run python docs/seed_table.py", file=sys.stderr)
        return 1
    PAGE.write_text(wanted, encoding="utf-8")
    return 0


if __name__ == "__main__":
    raise SystemExit(main(*sys.argv[1:]))
