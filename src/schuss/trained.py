"""What stays with layers from one fit to the next: an optimizer, a history, counters; in files, pickles and copies."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

from .arguments import shown
from .history import History
from .optim import Optimizer
from .optim.parts import become
from .optim.wrapper import Wrapper, innermost, layers, rewrapped
from .passes import Passes

if TYPE_CHECKING:
    from .layers import Layer
    from .optim.parts import Parts
    from .parts import BoundOptimizer, NetworkParts, StoppingParts

    Self = TypeVar("Self", bound="Trained")


class Trained(Passes):
    """The part of a `Network` that fitting goes on from, and that files, pickles and deep copies hold."""

    history: History
    epochs_done: int
    metadata: dict[str, Any]

    def _build(self, layers: Sequence[Layer], seed: int, dtype: Any) -> None:
        super()._build(layers, seed, dtype)
        self._optimizer: Optimizer | None = None
        self._wrapper: Wrapper | None = None
        self.history = History()
        self.epochs_done = 0
        self._fitting = False
        self._stopping: StoppingParts | None = None
        self.metadata = {}

    @property
    def optimizer(self) -> Optimizer | None:
        """That of the last fit, without what stands around it: that is `wrapper`. It can be set.

        Of a `Switch` it is the one whose turn it is.
        """
        wrapper = self._wrapper
        if wrapper is None or not wrapper._holds(self._optimizer):
            return self._optimizer
        return innermost(wrapper)

    @optimizer.setter
    def optimizer(self, given: Optimizer | None) -> None:
        self._optimizer = given

    @property
    def wrapper(self) -> Wrapper | None:
        """What stands around `optimizer`: the `EMA`, `SWA`, `Lookahead` or `Switch` of the last fit, or None.

        It can be set, to one around any optimizer over `parameters`, which then is `optimizer`: so that files, pickles
        and deep copies of the network have a `SAM` or `Accumulate` of a loop of your own.
        """
        found = self._wrapper
        return found if found is not None and found._holds(self._optimizer) else None

    @wrapper.setter
    def wrapper(self, given: Wrapper | None) -> None:
        if given is not None:
            if not isinstance(given, Wrapper):
                raise TypeError(
                    f"wrapper must be an EMA, SWA, Lookahead, SAM, Accumulate, Switch or None; got {shown(given)}"
                )
            for held in (innermost(given), *_beside(given)):
                self._indices_of(held)
            self._optimizer = innermost(given)
        self._wrapper = given

    # -- state -------------------------------------------------------------------------------------------------------

    def save(
        self,
        path: str | os.PathLike[str],
        optimizer: Optimizer | Wrapper | None = None,
        metadata: dict[str, Any] | None = None,
    ) -> None:
        """Write the network to one file, atomically. `schuss.load` reads it.

        Saved are layers, parameters, seed, counters, history, `metadata`, and the optimizer's kind, hyperparameters and
        state, so that training goes on as if nothing had happened. Its schedule is saved too if it is one of
        ``schuss.schedules`` without a function in it; of a function, the current value is: give it as ``lr=`` to the
        next `fit`, where it goes on at the optimizer's step. Averages that the optimizer keeps are saved with it, and
        what stands around it, such as `EMA` or `SAM`: after `schuss.load`, that is ``net.wrapper``. A file that is
        there keeps its permissions.

        Parameters
        ----------
        path : str or path
            Ending in .npz, or in .safetensors where the safetensors package is installed. The content is the same.
        optimizer : Optimizer, EMA, SWA, Lookahead, SAM, Accumulate or Switch, optional
            Over this network's parameters. Default: `wrapper`, or `optimizer`.
        metadata : dict, optional
            What JSON can hold: tuples come back as lists, keys as strings. Default: the network's `metadata`.

        Raises
        ------
        ValueError, TypeError
            If the ending is another, the optimizer is not over this network's parameters, the metadata is not JSON, or
            something was set to what `schuss.load` would refuse, such as ``epochs_done`` to -1.
        OSError
            If the file cannot be written; an old one is still there.
        """
        from .files.networks import write

        given = (self.wrapper or self.optimizer) if optimizer is None else optimizer
        parts = self._parts_with(given)
        write(path, parts if metadata is None else {**parts, "metadata": metadata})

    def summary(self) -> str:
        """A table of the layers."""
        rows = [("layer", "activation", "init", "dropout", "parameters"), *_rows_of(self.layers, "", set())]
        rows.append((f"{self.dtype}, seed {self.seed}", "", "", "", f"{self.n_parameters:,}"))
        # The last row's text may run on over the empty cells beside it.
        widths = [max(len(row[k]) for row in rows[:-1]) for k in range(5)]
        widths[4] = max(len(row[4]) for row in rows)
        widths[0] = max(widths[0], len(rows[-1][0]) - sum(widths[1:4]) - 6)
        lines = ["  ".join([*map(str.ljust, row[:4], widths), row[4].rjust(widths[4])]) for row in rows[:-1]]
        last = rows[-1]
        lines.append(last[0].ljust(sum(widths[:4]) + 6) + "  " + last[4].rjust(widths[4]))
        rule = "-" * len(lines[0])
        return "\n".join([lines[0], rule, *lines[1:-1], rule, lines[-1]])

    def __repr__(self) -> str:
        return f"Network({list(self.layers)!r}, seed={self.seed}, dtype={self.dtype.name!r})"

    def _parts_with(self, given: Any) -> NetworkParts:
        """What this network has, with an optimizer or a wrapper over its parameters in place of its own."""
        optimizer: BoundOptimizer | None = None
        if given is not None:
            optimizer = {
                **self._bound(innermost(given)),
                "wrappers": [(type(wrapper), wrapper._parts()) for wrapper in layers(given)],
                "beside": [self._bound(optimizer) for optimizer in _beside(given)],
            }
        return {
            "layers": self.layers,
            "seed": self.seed,
            "dtype": self.dtype.name,
            "parameters": list(self.parameters),
            "states": list(self._core.states),
            "draws": self._core.draws,
            "epochs_done": self.epochs_done,
            "history": self.history,
            "metadata": self.metadata,
            "optimizer": optimizer,
            "stopping": self._stopping,
        }

    def _bound(self, optimizer: Optimizer) -> BoundOptimizer:
        """What an optimizer over this network's parameters has, without anything around it."""
        indices = self._indices_of(optimizer)
        own = optimizer.__getstate__()
        parts: Parts = {**own, "groups": [{**group, "params": None} for group in own["groups"]]}
        return {"kind": type(optimizer), "indices": indices, "parts": parts, "wrappers": (), "beside": ()}

    def _unbound(self, bound: BoundOptimizer) -> Optimizer:
        """The optimizer of such parts, over this network's parameters."""
        groups = [
            {**group, "params": [self.parameters[k] for k in own]}
            for group, own in zip(bound["parts"]["groups"], bound["indices"], strict=True)
        ]
        optimizer = bound["kind"].__new__(bound["kind"])
        optimizer.__setstate__({**bound["parts"], "groups": groups})
        return optimizer

    @classmethod
    def _of_parts(cls: type[Self], parts: NetworkParts) -> Self:
        new = cls.__new__(cls)
        new.__setstate__(parts)
        return new

    def __getstate__(self) -> NetworkParts:
        return self._parts_with(self.wrapper or self.optimizer)

    def __setstate__(self, parts: NetworkParts) -> None:
        become(self, Trained._fill, parts)

    def _fill(self, parts: NetworkParts) -> None:
        self._build(parts["layers"], parts["seed"], parts["dtype"])
        for mine, theirs in zip(self.parameters, parts["parameters"], strict=True):
            mine[...] = theirs
        for mine, theirs in zip(self._core.states, parts["states"], strict=True):
            mine[...] = theirs
        self._core.draws = parts["draws"]
        self.epochs_done = parts["epochs_done"]
        self.history = parts["history"]
        self.metadata = parts["metadata"]
        self._stopping = parts.get("stopping")
        bound = parts["optimizer"]
        if bound is not None:
            optimizer = self._unbound(bound)
            self._optimizer = optimizer
            beside = [self._unbound(other) for other in bound.get("beside", ())]
            if bound["wrappers"] or beside:
                self._wrapper = rewrapped(optimizer, bound["wrappers"], beside)

    def __copy__(self) -> Trained:
        raise TypeError("a Network's parameters lie in one piece of memory: use copy.deepcopy")

    def __deepcopy__(self: Self, memo: dict[int, Any]) -> Self:
        from copy import deepcopy

        new = type(self).__new__(type(self))
        memo[id(self)] = new
        new.__setstate__(deepcopy(self.__getstate__(), memo))
        # So that an optimizer copied together with its network is bound to the copy.
        memo.update((id(mine), copy) for mine, copy in zip(self.parameters, new.parameters, strict=True))
        if self.optimizer is not None:
            memo[id(self.optimizer)] = new.optimizer
        for held in (layers, _beside):
            memo.update((id(mine), copy) for mine, copy in zip(held(self.wrapper), held(new.wrapper), strict=True))
        return new


def _beside(given: Any) -> list[Optimizer]:
    """The optimizers that wrappers hold beside the innermost one."""
    return [optimizer for wrapper in layers(given) for optimizer in wrapper._beside()]


def _rows_of(layers: Iterable[Layer], indent: str, tables: set[str]) -> list[tuple[str, str, str, str, str]]:
    """Rows of a summary; layers inside of others are indented. Tables that are counted already are in `tables`."""
    rows = []
    for layer in layers:
        text, *rest = layer.row()
        branches = getattr(layer, "branches", None)
        inner = branches if branches is not None else [layer.layers] if hasattr(layer, "layers") else []
        table = getattr(layer, "table", None)
        rows.append((indent + text, *rest, "" if inner else "0" if table in tables else f"{layer.n_parameters:,}"))
        if table is not None:
            tables.add(table)
        for k, branch in enumerate(inner):
            if branches is not None:
                rows.append((f"{indent}  branch {k}", "", "", "", ""))
            rows += _rows_of(branch, indent + ("    " if branches is not None else "  "), tables)
    return rows  # type: ignore[return-value]
