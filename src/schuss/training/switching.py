"""Epochs of two optimizers, one after the other."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .. import _core
from .epochs import Epochs

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from ..optim import Switch
    from ..trained import Trained


class SwitchedEpochs(Epochs):
    """Epochs of the steps of a `Switch`. The epoch in which it lies has two parts, each of one trainer.

    Parameters
    ----------
    network, switch
        What is trained, and by what.
    loss, data, batch_size, **options
        As for `Epochs`.
    """

    def __init__(self, network: Trained, switch: Switch, loss: Any, data: Any, batch_size: int, **options: Any) -> None:
        super().__init__(network, switch.optimizer, loss, data, batch_size, **options)
        self._switch = switch
        # Whose they are, by whether it has switched by then.
        self._trainers = {switch.switched: self.trainer}
        if not switch.switched:
            self._trainers[True] = Epochs(network, switch.second, loss, data, batch_size, **options).trainer

    @property
    def steps_made(self) -> int:
        return self._switch.steps

    def begin(
        self,
        seed: int | None,
        order: NDArray[np.int64] | None = None,
        *,
        scheduled: bool = True,
        rate: float | None = None,
    ) -> None:
        self._take_turns()
        self._given = seed, order, scheduled
        left = self._switch.left
        self._begin_part(seed, order, scheduled, 0, min(left, self.steps) if left else self.steps, rate=rate)

    def next_part(self) -> bool:
        before = self.trainer
        if before.batches_done >= self.steps:
            return False
        self.write_last()
        self.end()
        self._take_turns()
        self._begin_part(*self._given, before.batches_done, self.steps, before)
        return True

    def _take_turns(self) -> None:
        """The optimizer whose turn it is makes the next steps."""
        optimizer, trainer = self._switch._ready(), self._trainers[self._switch.switched]
        turns = [(self, "_begun", False), (self, "optimizer", optimizer), (self, "trainer", trainer)]
        _core.in_turn([(setattr, *turn) for turn in [*turns, (self.context, "trainer", trainer)]])
