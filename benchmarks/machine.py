"""The machine and the versions, and how a measurement is kept to some of its CPUs. Imports nothing that computes."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import sys
from pathlib import Path

PACKAGES = (
    "schuss",
    "numpy",
    "torch",
    "jax",
    "jaxlib",
    "optax",
    "keras",
    "deepspeed",
    "bitsandbytes",
    "torchao",
    "scikit-learn",
    "lightfm-next",
    "implicit",
    "scikit-surprise",
)
# Thread pools that read their size when they are loaded.
_VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "SCHUSS_NUM_THREADS")


def usable_cpus() -> list[int]:
    """CPUs that this process may run on; one of each core first, where the system tells."""
    if not hasattr(os, "sched_getaffinity"):
        return list(range(os.cpu_count() or 1))
    cpus = sorted(os.sched_getaffinity(0))
    seen: set[str] = set()
    first: list[int] = []
    others: list[int] = []
    for cpu in cpus:
        try:
            core = Path(f"/sys/devices/system/cpu/cpu{cpu}/topology/thread_siblings_list").read_text().strip()
        except OSError:
            core = str(cpu)
        (others if core in seen else first).append(cpu)
        seen.add(core)
    return first + others


def keep_to(threads: int) -> None:
    """Keep this process to so many CPUs and thread pools. Call it before anything that computes is imported.

    Affinity is what all obey; jax ignores the variables.
    """
    assert "numpy" not in sys.modules
    for name in _VARIABLES:
        os.environ[name] = str(threads)
    os.environ.setdefault("JAX_PLATFORMS", "cpu")
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    os.environ.setdefault("KERAS_BACKEND", "jax")
    os.environ.setdefault("DS_ACCELERATOR", "cpu")
    # torch.compile in this process, not in many that stay.
    os.environ.setdefault("TORCHINDUCTOR_COMPILE_THREADS", "1")
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, usable_cpus()[:threads])


def cpu_model() -> str:
    """As the system names it."""
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


def load() -> str:
    """How much else is running, where the system tells."""
    if not hasattr(os, "getloadavg"):
        return "unknown"
    return f"{os.getloadavg()[0]:.2f} (a minute's mean, before the start)"


def versions() -> dict[str, str]:
    """Of Python and of what is compared; those that are installed."""
    found = {"Python": platform.python_version()}
    for name in PACKAGES:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found
