"""Command line: ``python -m benchmarks [train] [step] [predict] [startup]``.

Each number of threads is measured in a process of its own, kept to as many CPUs before anything that computes is
imported. So this file imports only what computes nothing.
"""

from __future__ import annotations

import argparse
import datetime
import json
import subprocess
import sys
import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import Any

from . import machine, startup
from .tables import LEGEND, Result, Row, Table, table

SUBJECTS = ("train", "step", "predict", "startup")
BASELINES = {"train": "torch", "step": "torch fused", "predict": "torch", "startup": "torch"}


def arguments() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description="schuss beside others and the limits.")
    parser.add_argument("subjects", nargs="*", metavar="SUBJECT", help=f"of {', '.join(SUBJECTS)}; default: all")
    parser.add_argument("--quick", action="store_true", help="few sizes, short samples: under a minute")
    parser.add_argument("--large", action="store_true", help="larger networks too")
    parser.add_argument("--compile", action="store_true", help="torch.compile too (needs a C++ compiler)")
    parser.add_argument("--threads", default="1,2", help="numbers of threads, by commas; default: 1,2")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every sample")
    parser.add_argument("--markdown", type=Path, metavar="FILE", help="write the tables as Markdown")
    parser.add_argument("--worker", type=Path, help=argparse.SUPPRESS)
    return parser


def work(options: argparse.Namespace) -> None:
    """In a child process: measure with one number of threads and leave the results in a file."""
    threads = int(options.threads)
    machine.keep_to(threads)
    import importlib

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
        found[subject] = asdict(measure(options, threads, limits))
    config: Any = schuss.show_config(mode="dicts")
    document = {"isa": config["isa"], "compiler": config["compiler"], "results": found}
    options.worker.write_text(json.dumps(document))


def spawned(options: argparse.Namespace, subjects: list[str], threads: int, folder: Path) -> dict[str, Any]:
    """Start a child process for one number of threads; what it left."""
    path = folder / f"{threads}.json"
    command = [sys.executable, "-m", "benchmarks", *subjects, "--threads", str(threads), "--worker", str(path)]
    command += [f"--{name}" for name in ("quick", "large", "compile") if getattr(options, name)]
    subprocess.run(command, check=True)
    found: dict[str, Any] = json.loads(path.read_text())
    return found


def collected(options: argparse.Namespace, subjects: list[str]) -> tuple[dict[str, str], dict[str, Result]]:
    """What describes the machine, and the results of all subjects."""
    about = {
        "date": datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%d"),
        "CPU": f"{machine.cpu_model()}, {len(machine.usable_cpus())} usable CPUs",
        "load": machine.load(),
        **machine.versions(),
    }
    results: dict[str, Result] = {}
    computing = [name for name in subjects if name != "startup"]
    with tempfile.TemporaryDirectory() as folder:
        for threads in thread_numbers(options.threads) if computing else []:
            found = spawned(options, computing, threads, Path(folder))
            about["instruction set"], about["compiler"] = found["isa"], found["compiler"]
            for subject, part in found["results"].items():
                result = results.setdefault(subject, Result(part["title"]))
                result.rows += [Row(**fields) for fields in part["rows"]]
                result.notes += [line for line in part["notes"] if line not in result.notes]
    if "startup" in subjects:
        results["startup"] = startup.measure(options)
    return about, results


def thread_numbers(given: str) -> list[int]:
    """Those that this machine has CPUs for; the others are told."""
    usable = len(machine.usable_cpus())
    numbers = [int(part) for part in given.split(",")]
    for number in numbers:
        if number > usable:
            print(f"{number} threads left out: {usable} usable CPUs", file=sys.stderr)
    return [number for number in numbers if 1 <= number <= usable]


def main() -> None:
    parser = arguments()
    options = parser.parse_args()
    unknown = [name for name in options.subjects if name not in SUBJECTS]
    if unknown:
        parser.error(f"SUBJECT must be of {', '.join(SUBJECTS)}; got {unknown[0]!r}")
    if options.worker is not None:
        work(options)
        return
    about, results = collected(options, options.subjects or list(SUBJECTS))
    tables: list[Table] = [table(result, BASELINES[subject]) for subject, result in results.items()]
    lines = [f"{name}: {value}" for name, value in about.items()]
    print("; ".join(lines))
    for one in tables:
        print(f"\n{one.text()}")
    print(f"\n{LEGEND}")
    if options.json is not None:
        document = {"about": about, "results": {name: asdict(result) for name, result in results.items()}}
        options.json.write_text(json.dumps(document, indent=1) + "\n")
    if options.markdown is not None:
        parts = ["# Results", "\n".join(f"- {line}" for line in lines), LEGEND, *(one.markdown() for one in tables)]
        options.markdown.write_text("\n\n".join(parts) + "\n")


if __name__ == "__main__":
    main()
