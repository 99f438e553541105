"""Drawings with matplotlib, which is imported when one is made. pyplot's state is left alone.

`paths` draws how optimizers go down a function of two variables, `loss_line` and `loss_plane` compute and draw what
lies between networks.
"""

from typing import TYPE_CHECKING

__all__ = [
    "FUNCTIONS",
    "Function",
    "LossLine",
    "LossPlane",
    "Trace",
    "loss_line",
    "loss_plane",
    "paths",
    "trace",
]

if TYPE_CHECKING:
    from .functions import FUNCTIONS, Function
    from .loss_lines import LossLine, loss_line
    from .loss_planes import LossPlane, loss_plane
    from .path_figures import paths
    from .traces import Trace, trace
else:
    # Where each name comes from: curves and rates are drawn without the rest.
    _LATE = {
        "FUNCTIONS": ".functions",
        "Function": ".functions",
        "LossLine": ".loss_lines",
        "LossPlane": ".loss_planes",
        "loss_line": ".loss_lines",
        "loss_plane": ".loss_planes",
        "paths": ".path_figures",
        "Trace": ".traces",
        "trace": ".traces",
    }

    def __getattr__(name: str) -> object:
        """Load what is first asked for by its name."""
        from importlib import import_module

        if name in _LATE:
            found = globals()[name] = getattr(import_module(_LATE[name], __name__), name)
            return found
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

    def __dir__() -> list[str]:
        return sorted({*globals(), *__all__})
