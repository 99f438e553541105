"""What it takes before anything is computed: importing, and the size of a wheel."""

from __future__ import annotations

import importlib.util
import os
import statistics
import subprocess
import sys
from pathlib import Path
from typing import Any

from .tables import Result, Row

MODULES = ("schuss", "sklearn.neural_network", "torch", "jax")
_CODE = """
import time
a = time.process_time()
import numpy
b = time.process_time()
import {name}
print(b - a, time.process_time() - b)
"""


def _seconds(name: str) -> tuple[float, float]:
    """CPU time of importing NumPy, and then a module, in a fresh interpreter."""
    command = [sys.executable, "-W", "ignore", "-c", _CODE.format(name=name)]
    # Compiled modules are cached, as they are where a package was installed, whatever this process was told.
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONDONTWRITEBYTECODE"}
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
    first, second = done.stdout.split()[-2:]
    return float(first), float(second)


def wheel(options: Any) -> Path | None:
    """The newest wheel in dist/."""
    found = sorted(Path("dist").glob("schuss-*.whl"), key=lambda path: path.stat().st_mtime)
    return found[-1] if found else None


def measure(options: Any) -> list[Result]:
    """Interpreters started in turns; the first of each only warms the disk cache."""
    present = [name for name in MODULES if importlib.util.find_spec(name.partition(".")[0]) is not None]
    samples: dict[str, list[float]] = {}
    numpy: list[float] = []
    for number in range(2 if options.quick else 8):
        for name in present:
            before, beyond = _seconds(name)
            if number:
                numpy.append(1e3 * before)
                samples.setdefault("ours" if name == "schuss" else name.partition(".")[0], []).append(1e3 * beyond)
    result = Result("Import", [Row({"milliseconds": "beyond NumPy"}, 1, ["ours"], samples)], baselines=["torch"])
    result.notes = [
        "Milliseconds of CPU time of the import statement, after `import numpy`, which takes "
        f"{statistics.median(numpy):.0f} itself."
    ]
    size = wheel(options)
    if size is None:
        result.notes.append("No wheel in dist/: its size is not known.")
    else:
        result.notes.append(f"Wheel {size.name}: {size.stat().st_size / 1e6:.2f} MB.")
    return [result]
