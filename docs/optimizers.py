"""Writes what docs/optimizers.md says of each optimizer, from the classes: ``python docs/optimizers.py [--check]``.

Between ``<!-- begin: NAME -->`` and ``<!-- end: NAME -->`` the page is this program's; the rest is written by hand. The
numbers of the comparison come from docs/comparison.json. With --check nothing is written, and the status is 1 if there
was something to write.
"""

from __future__ import annotations

import inspect
import json
import math
import re
import statistics
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

import schuss
from schuss.optim import BY_NAME

sys.path.append(str(Path(__file__).parents[1]))  # benchmarks/ is beside docs/
from benchmarks.optimizers import ALL

PAGE = Path(__file__).with_suffix(".md")
WIDTH = 140
WRAPPERS = ("EMA", "SWA", "Lookahead", "SAM", "Accumulate", "Switch")

# (If ..., use ..., and this of them.) Names in brackets are optimizers; what is not there is left out with its row.
CHOICES = (
    ("nothing is known of the problem, and gradients come from mini-batches", "[AdamW]", "lr 1e-3, a warm-up, cosine"),
    (
        "the gradient is exact and the loss smooth: physics, statistics, a Gaussian process",
        "[LBFGS]",
        "with strong_wolfe",
    ),
    ("the gradient is exact, and the scales of the parameters are unknown", "[Rprop]", "as it is"),
    (
        "the network is a classic one and there is time to tune: images, convolutions",
        "[SGD]",
        "momentum 0.9, nesterov, MultiStep or cosine",
    ),
    ("features are rare and the model is linear: words, clicks", "[AdaGrad], [FTRL]", "FTRL leaves exact zeros"),
    (
        "a batch touches a few rows of large tables",
        "[AdaGrad], [RowAdaGrad], [SparseAdam], or any with `Rows`",
        "RowAdaGrad for state, `rows=` for the others",
    ),
    ("the problem changes while it is being solved: recurrent nets, reinforcement learning", "[RMSProp], [Adam]", ""),
    ("it should need no warm-up", "[RAdam]", ""),
    (
        "Adam is unstable: rare large gradients, a large beta2",
        "[ADOPT], [Yogi], [AdaBelief]",
        "or amsgrad, or clip_norm",
    ),
    ("gradients have heavy tails, or their size means nothing", "[Signum], [Lion], [Adamax]", "or clip_value"),
    ("no learning rate is to be searched for", "[Prodigy]", "lr 1"),
    (
        "the length of training is open, so that no schedule fits",
        "[ScheduleFreeAdamW], [ScheduleFreeSGD]",
        "lr constant",
    ),
    ("the states do not fit into memory", "[Adafactor], [Lion], [SGD]", ""),
    ("batches have thousands of rows", "[LAMB], [LARS]", ""),
    ("most parameters are in wide matrices, and a gradient costs far more than a step", "[Muon], [SOAP]", ""),
    ("training is long, and old gradients are still worth something", "[AdEMAMix], [Adan]", ""),
    ("each layer's gradient has a scale of its own: speech, convolutions", "[NovoGrad]", ""),
    ("a convex problem is to be solved as well as noisy gradients allow", "[ASGD]", "or SGD, InverseTime and SWA"),
)

# What the page says once for all arguments of these names.
COMMON = (
    "As for `SGD`.",
    "Ascend instead.",
    "If an array cannot be updated in place, or a number is out of range.",
)

# ---- docstrings ------------------------------------------------------------------------------------------------------


def sections(kind: type) -> dict[str, str]:
    """A docstring by the titles of its sections, the part before them under "": NumPy style."""
    text = inspect.cleandoc(kind.__doc__ or "")
    parts = re.split(r"^([A-Z]\w+)\n-+\n", text, flags=re.M)
    return {"": parts[0].strip(), **dict(zip(parts[1::2], (part.strip() for part in parts[2::2]), strict=True))}


def definitions(text: str) -> list[tuple[str, str, str]]:
    """(names, type, description) of each entry of a section such as Parameters."""
    found = []
    for entry in re.split(r"\n(?=\S)", text):
        head, _, body = entry.partition("\n")
        names, _, kind = head.partition(" : ")
        found.append((names, kind, inspect.cleandoc(body)))
    return found


def markdown(text: str) -> str:
    """Paragraphs of a docstring: ``code`` as `code`, lines wrapped, and what is indented after two colons as it is."""
    parts = []
    for paragraph in re.split(r"\n\s*\n", text):
        if paragraph.startswith("    ") and parts and parts[-1].endswith("::"):
            parts[-1] = parts[-1][:-1]
            parts.append(f"```\n{inspect.cleandoc(paragraph)}\n```")
        elif paragraph.strip():
            parts.append(wrapped(paragraph))
    return "\n\n".join(parts)


def wrapped(paragraph: str, indent: str = "") -> str:
    """Lines of about WIDTH characters, broken between words, never inside code; none begins as a list does."""
    text = " ".join(paragraph.replace("``", "`").split())
    lines: list[str] = []
    line = ""
    for word in re.findall(r"[^\s`]*(?:`[^`]*`[^\s`]*)+|\S+", text):
        starts_something = re.match(r"[-+*=>#|]|\d+[.)]$", word) is not None
        if line and len(line) + 1 + len(word) > WIDTH - len(indent) and not starts_something:
            lines.append(line)
            line = word
        else:
            line = f"{line} {word}".strip()
    return f"\n{indent}".join([*lines, line])


# ---- what a class says of itself -------------------------------------------------------------------------------------


def catalogue() -> dict[str, type]:
    """Every optimizer by the name of its class, in the order of the alphabet."""
    kinds = [*BY_NAME.values(), *filter(None, [getattr(schuss, "LBFGS", None)])]
    return {kind.__name__: kind for kind in sorted(kinds, key=lambda kind: kind.__name__.casefold())}


def shown(value: Any) -> str:
    """A default as it is written: 1e-8 for 1e-08."""
    if isinstance(value, tuple):
        return f"({', '.join(map(shown, value))})"
    if isinstance(value, float):
        return re.sub(r"e([+-])0*", lambda sign: "e" + sign[1].strip("+"), f"{value:g}")
    return f'"{value}"' if isinstance(value, str) else repr(value)


def arguments(kind: type) -> dict[str, Any]:
    """Names and defaults."""
    found = inspect.signature(kind).parameters.values()
    return {parameter.name: parameter.default for parameter in found}


def call(kind: type) -> str:
    """The constructor as it is called, in lines."""
    parts = []
    for parameter in inspect.signature(kind).parameters.values():
        if parameter.kind is parameter.KEYWORD_ONLY and "*" not in parts:
            parts.append("*")
        default = "" if parameter.default is parameter.empty else f"={shown(parameter.default)}"
        parts.append(parameter.name + default)
    opening = f"schuss.{kind.__name__}("
    lines, line = [], opening
    for k, part in enumerate(parts):
        piece = part + (")" if k == len(parts) - 1 else ",")
        if len(line) + len(piece) > 100:
            lines.append(line.rstrip())
            line = " " * len(opening)
        line += piece + " " * (k < len(parts) - 1)
    return "\n".join([*lines, line])


def own_arguments(kind: type) -> Iterator[str]:
    """One item a line: what the docstring says of the arguments that are not the same for all."""
    for names, what, text in definitions(sections(kind).get("Parameters", "")):
        if text and text not in COMMON and names != "params":
            marked = ", ".join(f"`{name.strip()}`" for name in names.split(","))
            kinds = what if what.startswith("(") or not what else f"({what})"
            yield "- " + wrapped(f"{marked} {kinds}".strip() + f": {text}", "  ")


def raised(kind: type) -> str:
    """What else than any optimizer it raises."""
    found = [(names, text) for names, _, text in definitions(sections(kind).get("Raises", "")) if text not in COMMON]
    return wrapped(" ".join(f"*Raises* {names}: {text}" for names, text in found if text))


def aliases(kind: type) -> list[str]:
    """Other names of it."""
    return sorted(name for name in schuss.__all__ if getattr(schuss, name) is kind and name != kind.__name__)


# ---- what a step costs -----------------------------------------------------------------------------------------------


def state_bytes(kind: type, options: Mapping[str, Any]) -> float | None:
    """Bytes of state a parameter, of a float32 matrix of 1024 x 1024; None if these options do not go together."""
    try:
        optimizer = kind(np.zeros((1024, 1024), np.float32), **options)
    except ValueError:
        return None
    held = sum(state.nbytes for states in optimizer._stepper.states for state in states if state is not None)
    return held / 1024**2


def more_moved(kind: type) -> float:
    """Bytes a parameter that a step moves beside the usual, as the benchmarks count its passes over memory.

    The usual is to read and write the parameter and its states, and to read the gradient.
    """
    row = next(row for row in ALL if row.name == kind.__name__)
    held = state_bytes(kind, row.options)
    assert held is not None
    return 4 * sum(map(sum, row.passes)) - (12 + 2 * held)


def variants(kind: type) -> Iterator[dict[str, Any]]:
    """The defaults, and single options that may change what a step costs."""
    yield {}
    for name, default in arguments(kind).items():
        if isinstance(default, bool):
            yield {name: not default}
        elif name == "momentum":
            yield {name: 0.0 if default else 0.9}


def costs(kind: type) -> dict[str, tuple[float, float]]:
    """(bytes of state, bytes moved) with the defaults, under "", and with each option that changes them."""
    more = more_moved(kind)
    found: dict[str, tuple[float, float]] = {}
    for options in variants(kind):
        held = state_bytes(kind, options)
        if held is not None and (not found or held != found[""][0]):
            name = "".join(f"{key}={shown(value)}" for key, value in options.items())
            found[name] = (held, 12 + 2 * held + more)
    return found


def plain(number: float) -> str:
    return f"{number:.0f}" if number == int(number) else f"{number:.2g}"


def takes_rows(kind: type) -> bool:
    """Whether a step with the gradient of some rows is taken."""
    parameter = np.zeros((4, 2), np.float32)
    try:
        kind(parameter).step([schuss.Rows([1], np.ones((1, 2), np.float32))])
    except (ValueError, TypeError):
        return False
    return True


# ---- the comparison --------------------------------------------------------------------------------------------------


def noted() -> dict[str, Any]:
    """What docs/comparison.py has written down."""
    found: dict[str, Any] = json.loads(PAGE.with_name("comparison.json").read_text(encoding="utf-8"))
    return found


def compared() -> dict[str, Any]:
    """Results by entrant and problem."""
    results: dict[str, Any] = noted()["results"]
    return results


def rate(result: dict[str, Any]) -> str:
    return shown(result["lr"]) + " ↘" * (result["decay"] == "cosine")


def ranking() -> list[tuple[str, dict[str, Any]]]:
    """Names and results. Those that are the same share a line, which the places on all problems together order."""
    same: dict[str, list[str]] = {}
    for name, found in compared().items():
        same.setdefault(json.dumps(found), []).append(name)
    rows = [(", ".join(names), json.loads(found)) for found, names in same.items()]

    def places(row: tuple[str, dict[str, Any]]) -> int:
        return sum(other[key]["median"] < row[1][key]["median"] for key in row[1] for _, other in rows)

    return sorted(rows, key=places)


def comparison() -> str:
    """The table, and what all of it has in common."""
    rows = ranking()
    problems = list(rows[0][1])
    least = {problem: min(found[problem]["median"] for _, found in rows) for problem in problems}
    lines = [
        "| optimizer | " + " | ".join(f"{problem} | lr" for problem in problems) + " |",
        "| --- |" + " --- |" * (2 * len(problems)),
    ]
    for name, found in rows:
        cells = []
        for problem, result in found.items():
            band = f"{shown(result['median'])} ({shown(result['low'])} to {shown(result['high'])})"
            cells += [f"**{band}**" if result["median"] == least[problem] else band, rate(result)]
        lines.append(f"| {name} | " + " | ".join(cells) + " |")

    falling = [result["decay"] == "cosine" for name, found in rows if name != "Rprop" for result in found.values()]
    results = [result for _, found in rows for result in found.values()]
    said = f"Of the {len(falling)} best rates (Rprop has none) {sum(falling)} fall to zero."
    for side, words in (("less", "smaller"), ("more", "larger")):
        factors = [math.inf if result[side] is None else result[side] / result["median"] for result in results]
        said += f" A rate three times {words} leaves {statistics.median(factors):.2g} times as much in the median case"
        said += f", and diverges in {factors.count(math.inf)} of {len(factors)}." if math.inf in factors else "."
    return "\n".join([*lines, "", wrapped(f"{said} O{of_lbfgs()[1:]}")])


def of_lbfgs() -> str:
    """How it compares: it takes exact gradients only, and has no learning rate to search for."""
    needs = [f"{count} gradients to be within {level}" for level, count in noted()["LBFGS"].items()]
    least = min(found["diagnoses"]["median"] for found in compared().values())
    return (
        f"on diagnoses L-BFGS needs {listed(needs)} of the minimum, of which the best of the others is within "
        f"{shown(least)} after 400."
    )


def in_comparison(name: str) -> str:
    """What is said of one optimizer, or nothing."""
    if name == "LBFGS":
        return f"*In our comparison*: {of_lbfgs()}"
    results = compared()
    parts = []
    for entrant, found in results.items():
        if entrant != name and not entrant.startswith(name + ", "):
            continue
        least = {problem: min(other[problem]["median"] for other in results.values()) for problem in found}
        factors = [shown(float(f"{result['median'] / least[problem]:.2g}")) for problem, result in found.items()]
        options = entrant.removeprefix(name).removeprefix(", ")
        said = f"with {options}: " if options else ""
        said += f"{listed(factors)} times the least"
        if not options.startswith("lr "):
            said += f", at rates {listed([rate(result) for result in found.values()])}"
        parts.append(said)
    problems = listed(list(next(iter(results.values()))))
    return f"*In our comparison*, on {problems}: {'; '.join(parts)}." if parts else ""


def listed(parts: list[str]) -> str:
    return ", ".join(parts[:-1]) + " and " + parts[-1] if len(parts) > 1 else parts[0]


# ---- the blocks ------------------------------------------------------------------------------------------------------


def choices() -> str:
    kinds = catalogue()

    def link(match: re.Match[str]) -> str:
        return f"[{match[1]}](#{match[1].lower()})" if match[1] in kinds else ""

    lines = ["| if ... | use ... | with ... |", "| --- | --- | --- |"]
    for situation, names, advice in CHOICES:
        if any(name in kinds for name in re.findall(r"\[(\w+)\]", names)):
            linked = ", ".join(filter(None, (re.sub(r"\[(\w+)\]", link, part) for part in names.split(", "))))
            lines.append(f"| {situation} | {linked} | {advice} |")
    return "\n".join(lines)


def cost_table() -> str:
    lines = ["| optimizer | state | moved in a step | with options | `Rows` |", "| --- | --- | --- | --- | --- |"]
    for name, kind in catalogue().items():
        if not issubclass(kind, schuss.Optimizer):
            continue
        found = costs(kind)
        held, moved = found.pop("")
        others = ", ".join(f"{option}: {plain(h)}, {plain(m)}" for option, (h, m) in found.items())
        cells = [f"[{name}](#{name.lower()})", plain(held), plain(moved), others, "yes" if takes_rows(kind) else "no"]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def entry(kind: type, *, wrapper: bool = False) -> str:
    """The part of the page about one class."""
    said = sections(kind)
    summary, _, formula = said[""].partition("\n\n")
    others = [f"`schuss.{name}`" for name in aliases(kind)]
    parts = [
        f"### {kind.__name__}",
        wrapped(summary + (f" Also called {listed(others)}." if others else "")),
        markdown(formula),
        f"```\n{call(kind)}\n```",
        "\n".join(own_arguments(kind)),
        raised(kind),
    ]
    if not wrapper and issubclass(kind, schuss.Optimizer):
        found = costs(kind)
        held, moved = found.pop("")
        text = f"*Cost*, in float32: {plain(held)} bytes of state a parameter; {plain(moved)} bytes moved in a step"
        text += "".join(f"; with {option} {plain(h)} and {plain(m)}" for option, (h, m) in found.items())
        parts.append(wrapped(text + "."))
    parts += [markdown(said.get("Notes", "")), wrapped(in_comparison(kind.__name__))]
    if "Examples" in said:
        parts.append(f"```\n{said['Examples']}\n```")
    if "References" in said:
        parts.append(wrapped(f"*Source*: {said['References']}"))
    return "\n\n".join(part for part in parts if part)


BLOCKS: dict[str, Callable[[], str]] = {
    "choices": choices,
    "costs": cost_table,
    "comparison": comparison,
    "optimizers": lambda: "\n\n".join(entry(kind) for kind in catalogue().values()),
    "wrappers": lambda: "\n\n".join(entry(getattr(schuss, name), wrapper=True) for name in WRAPPERS),
}


def filled(page: str) -> str:
    """The page with its blocks as the classes have them now."""
    for name, made in BLOCKS.items():
        begin, end = f"<!-- begin: {name} -->\n\n", f"\n\n<!-- end: {name} -->"
        before, found, rest = page.partition(begin)
        _, closed, after = rest.partition(end)
        if not found or not closed:
            raise ValueError(f"{PAGE.name} must have a block {name!r}")
        page = before + begin + made() + end + after
    return page


def main(arguments: list[str]) -> int:
    page = PAGE.read_text(encoding="utf-8")
    wanted = filled(page)
    if arguments == ["--check"]:
        if page != wanted:
            print(f"{PAGE} is not what the optimizers say: run python docs/optimizers.py", file=sys.stderr)
        return int(page != wanted)
    PAGE.write_text(wanted, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
