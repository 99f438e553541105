"""Command line: ``python -m benchmarks [SUBJECT ...]``.

Each number of threads is measured in a process of its own, kept to as many CPUs before anything that computes is
imported. So this file imports only what computes nothing, and the subjects when they are asked for.
"""

from __future__ import annotations

import argparse
import datetime
import importlib
import itertools
import json
import subprocess
import sys
import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import Any

from . import machine, startup
from .tables import LEGEND, Result, Row, table

SUBJECTS = {
    "train": "training steps beside all libraries and the limit",
    "layers": "training steps with layers that are not dense, beside torch",
    "sequences": "training steps of recurrent layers beside all libraries and the limit",
    "images": "training steps of convolutional networks beside all libraries and the limit, and their memory",
    "recommend": "recommenders and rare features beside LightFM, implicit, Surprise, torch and scikit-learn",
    "gemm": "matrix products beside OpenBLAS and MKL",
    "growth": "training steps against width, depth, batch and threads: long, only when named or with --large",
    "step": "steps of every optimizer",
    "ways": "ways that steps walk over large arrays beside bare loops: long, only when named or with --large",
    "torch_step": "steps in every precision beside torch and others: only when named or with --large",
    "torch_training": "training small networks of torch's, with its optimizers and with ours",
    "offload": "an optimizer for each tensor, while gradients arrive: only when named or with --large",
    "predict": "prediction of one row and of many",
    "sklearn": "schuss.sklearn beside scikit-learn's own networks",
    "realmlp": "whole fits of RealMLP beside pytabkit: long, only when named or with --large",
    "startup": "importing, and the size of the wheel",
}
# Left out unless they are named.
LONG = ("growth", "ways", "torch_step", "offload", "realmlp")
# Options that children are given too.
_FLAGS = ("quick", "compile")


def arguments() -> argparse.ArgumentParser:
    width = max(map(len, SUBJECTS))
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks",
        description="schuss beside others and the limits of the machine.",
        epilog="subjects:\n" + "\n".join(f"  {name:{width}}  {what}" for name, what in SUBJECTS.items()),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("subjects", nargs="*", metavar="SUBJECT", help="see below; default: all that are not long")
    parser.add_argument("--quick", action="store_true", help="few sizes, short samples, no torch.compile")
    parser.add_argument("--large", action="store_true", help="the long subjects too, if none is named")
    parser.add_argument(
        "--compile",
        action=argparse.BooleanOptionalAction,
        help="torch.compile in train, where a C++ compiler works; default: yes, unless --quick",
    )
    parser.add_argument(
        "--rows",
        metavar="NAMES",
        help="in step and ways: these optimizers only, by commas, as adam,lion; in torch_step: these parts",
    )
    parser.add_argument("--threads", default="1,2", help="numbers of threads, by commas; default: 1,2")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every sample")
    parser.add_argument(
        "--markdown", type=Path, metavar="FILE", help="write the tables as Markdown, and pictures into plots/ beside it"
    )
    parser.add_argument("--worker", type=Path, help=argparse.SUPPRESS)
    return parser


def work(options: argparse.Namespace) -> None:
    """In a child process: measure with one number of threads and leave the results in a file."""
    threads = int(options.threads)
    machine.keep_to(threads)
    import schuss

    from .limits import Limits
    from .peers import module

    schuss.set_num_threads(threads)
    torch = module("torch")
    if torch is not None:
        torch.set_num_threads(threads)
    found = {}
    for subject in options.subjects:
        limits = Limits(threads, 0.05 if options.quick else 0.15)
        measure: Any = importlib.import_module(f".{subject}", __package__).measure
        found[subject] = [asdict(result) for result in measure(options, threads, limits)]
    config: Any = schuss.show_config(mode="dicts")
    document = {"isa": config["isa"], "compiler": config["compiler"], "results": found}
    options.worker.write_text(json.dumps(document))


def spawned(options: argparse.Namespace, subjects: list[str], threads: int, folder: Path) -> dict[str, Any]:
    """Start a child process for one number of threads; what it left."""
    path = folder / f"{threads}.json"
    command = [sys.executable, "-m", "benchmarks", *subjects, "--threads", str(threads), "--worker", str(path)]
    command += [f"--{name}" for name in _FLAGS if getattr(options, name)]
    command += [f"--rows={options.rows}"] if options.rows else []
    subprocess.run(command, check=True)
    found: dict[str, Any] = json.loads(path.read_text())
    return found


def collected(options: argparse.Namespace, subjects: list[str]) -> tuple[dict[str, str], dict[str, list[Result]]]:
    """What describes the machine, and the results of all subjects, one of each title."""
    about = {
        "date": datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%d"),
        "CPU": f"{machine.cpu_model()}, {len(machine.usable_cpus())} usable CPUs",
        "load": machine.load(),
        **machine.versions(),
    }
    results: dict[str, dict[str, Result]] = {}
    computing = [name for name in subjects if name != "startup"]
    with tempfile.TemporaryDirectory() as folder:
        for threads in thread_numbers(options.threads) if computing else []:
            found = spawned(options, computing, threads, Path(folder))
            about["instruction set"], about["compiler"] = found["isa"], found["compiler"]
            for subject, parts in found["results"].items():
                for part in parts:
                    titled = results.setdefault(subject, {})
                    result = titled.setdefault(part["title"], Result(part["title"], baselines=part["baselines"]))
                    result.rows += [Row(**fields) for fields in part["rows"]]
                    result.notes += [line for line in part["notes"] if line not in result.notes]
    listed = {subject: list(titled.values()) for subject, titled in results.items()}
    if "startup" in subjects:
        listed["startup"] = startup.measure(options)
    return about, listed


def thread_numbers(given: str) -> list[int]:
    """Those that this machine has CPUs for; the others are told."""
    usable = len(machine.usable_cpus())
    numbers = [int(part) for part in given.split(",")]
    for number in numbers:
        if number > usable:
            print(f"{number} threads left out: {usable} usable CPUs", file=sys.stderr)
    return [number for number in numbers if 1 <= number <= usable]


def pictures(results: dict[str, list[Result]], folder: Path) -> dict[str, list[str]]:
    """Draw the subjects that can be drawn; where the pictures lie, seen from the folder's parent."""
    found: dict[str, list[str]] = {}
    for subject, (result, *_) in results.items():
        draw = getattr(importlib.import_module(f".{subject}", __package__), "draw", None)
        if draw is None:
            continue
        try:
            paths = draw(result, folder)
        except ImportError as error:
            print(f"no picture of {subject}: {error}", file=sys.stderr)
            continue
        found[subject] = [path.relative_to(folder.parent).as_posix() for path in paths]
    return found


def chosen(options: argparse.Namespace) -> list[str]:
    """The subjects that are named, or all; without what is long, unless it is asked for."""
    return options.subjects or [name for name in SUBJECTS if name not in LONG or options.large]


def main() -> None:
    parser = arguments()
    options = parser.parse_args()
    unknown = [name for name in options.subjects if name not in SUBJECTS]
    if unknown:
        parser.error(f"SUBJECT must be of {', '.join(SUBJECTS)}; got {unknown[0]!r}")
    if options.worker is not None:
        work(options)
        return
    options.compile = not options.quick if options.compile is None else options.compile
    about, results = collected(options, chosen(options))
    tables = {subject: [table(result) for result in found] for subject, found in results.items()}
    lines = [f"{name}: {value}" for name, value in about.items()]
    print("; ".join(lines))
    for one in itertools.chain.from_iterable(tables.values()):
        print(f"\n{one.text()}")
    print(f"\n{LEGEND}")
    if options.json is not None:
        document = {"about": about, "results": {name: list(map(asdict, found)) for name, found in results.items()}}
        options.json.write_text(json.dumps(document, indent=1) + "\n")
    if options.markdown is not None:
        drawn = pictures(results, options.markdown.parent / "plots")
        parts = ["# Results", "\n".join(f"- {line}" for line in lines), LEGEND]
        for subject, (first, *others) in tables.items():
            parts += [first.markdown(drawn.get(subject, ())), *(other.markdown() for other in others)]
        options.markdown.write_text("\n\n".join(parts) + "\n")


if __name__ == "__main__":
    main()
