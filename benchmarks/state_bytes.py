"""Bytes a parameter that AdamW keeps in memory, gradients not counted, by precision and library.

``python -m benchmarks.state_bytes [RESULTS.json]``: a process each, 50M parameters; needs Linux and 2 GB. What is
measured is what the process grows by from before the parameters are made until after two steps; and the peak within
the second of them, above what is held then.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from . import machine, precisions
from .precisions import Precision

SIZE, WARM = 50_000_000, 100_000
MAKERS = ("ours_arrays", "ours_tensors", "torch_fused", "torch_master", "deepspeed", "bitsandbytes")
# Memory of 64 KiB and more comes from the system and goes back at once, so nothing freed before counts as there.
_MALLOC = {"MALLOC_MMAP_THRESHOLD_": "65536", "MALLOC_TRIM_THRESHOLD_": "65536"}


def found_in_a_process(maker: str, number: int) -> dict[str, float] | None:
    """Bytes a parameter: held, and the peak of a step; None if there is no such thing."""
    command = [sys.executable, "-m", "benchmarks.state_bytes", "--one", maker, str(number)]
    done = subprocess.run(command, env={**os.environ, **_MALLOC}, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        print(f"{maker} left out: {done.stderr.strip().rpartition(chr(10))[2]}", file=sys.stderr)
        return None
    found: dict[str, float] | None = json.loads(done.stdout.strip().rpartition("\n")[2])
    return found


def one(maker: str, precision: Precision) -> dict[str, float] | None:
    """In a process of its own."""
    from . import optimizers, step_peers, tensor_steps
    from .peak_memory import peak, resident

    make: Any = getattr(tensor_steps, maker)
    optimizer = next(one for one in optimizers.ALL if one.name == "AdamW")
    # The first brings in code, threads and their stacks.
    small = make(tensor_steps.tensors(step_peers.problem(optimizer, WARM), precision))
    if small is None:
        return None
    small.run(2)
    given = tensor_steps.tensors(step_peers.problem(optimizer, SIZE), precision)
    start = resident()
    stepping = make(given)
    stepping.run(1)
    held = resident()
    stepping.run(1)
    return {"held": (resident() - start) / SIZE, "peak of a step": (peak() - held) / SIZE}


def main() -> None:
    if sys.argv[1:2] == ["--one"]:
        machine.keep_to(1)
        print(json.dumps(one(sys.argv[2], precisions.ALL[int(sys.argv[3])])))
        return
    rows = []
    for number, precision in enumerate(precisions.ALL):
        for maker in MAKERS:
            # torch's master beside bfloat16 is float32 always.
            if precision.master == "split" and not maker.startswith("ours"):
                continue
            found = found_in_a_process(maker, number)
            if found is not None:
                rows.append({"precision": precision.name, "maker": maker, "expected": precision.held, **found})
                print(
                    "  ".join(f"{cell:.3f}" if isinstance(cell, float) else f"{cell:26}" for cell in rows[-1].values())
                )
    if len(sys.argv) > 1:
        document = {"parameters": SIZE, **machine.versions(), "rows": rows}
        Path(sys.argv[1]).write_text(json.dumps(document, indent=1) + "\n")


if __name__ == "__main__":
    main()
