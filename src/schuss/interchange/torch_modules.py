"""Modules of torch that stand for layers of ours where torch has none that hands on one array."""

from __future__ import annotations

from importlib import import_module
from typing import Any

torch: Any = import_module("torch")


class Recurrent(torch.nn.Module):  # type: ignore[misc]
    """An RNN, GRU or LSTM of torch, batch first, whose value is one array.

    Parameters
    ----------
    layer : torch.nn.RNN, GRU or LSTM
    return_sequences : bool
        Whether the outputs of all times are handed on; else the state after the last one, both directions side by side.
    reverse : bool
        Whether it goes from the last time to the first; outputs stand at their times.
    """

    def __init__(self, layer: Any, return_sequences: bool, reverse: bool = False) -> None:
        super().__init__()
        self.layer, self.return_sequences, self.reverse = layer, return_sequences, reverse

    def forward(self, x: Any) -> Any:
        output, state = self.layer(x.flip(1) if self.reverse else x)
        if self.return_sequences:
            return output.flip(1) if self.reverse else output
        last = state[0] if isinstance(state, tuple) else state
        directions = 2 if self.layer.bidirectional else 1
        return last[-directions:].transpose(0, 1).reshape(len(x), -1)
