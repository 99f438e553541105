"""Curves for TensorBoard."""

from __future__ import annotations

import os
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from ..arguments import file_path, flag
from ..training.callback import Callback

if TYPE_CHECKING:
    from ..training import EpochRecord
    from ..training.callback import FitRecord


class TensorBoard(Callback):
    """Write curves that TensorBoard shows, by tensorboardX or torch's own writer, whichever is installed.

    All that is recorded of an epoch is there by its name, "val_loss" as "loss/validation" beside "loss/training", with
    "lr" and "seconds"; and the loss of each batch, as it was before its step, as "batch/loss". An epoch's
    points are in the file a second or two after its end.

    Parameters
    ----------
    folder : str or path
        Made if it is not there. Each fit writes a file of its own into it; a fit that goes on from a checkpoint, too,
        and where epochs are trained again their points are there twice, one on the other.
    batches : bool
        Whether to write the losses of batches.

    Raises
    ------
    ImportError
        If neither tensorboardX nor torch with tensorboard is installed.
    """

    _unpickled = ("_writer",)
    _writer: Any = None

    def __init__(self, folder: str | os.PathLike[str], *, batches: bool = True) -> None:
        self.folder = file_path("folder", folder)
        self.batches = flag("batches", batches)
        if find_spec("tensorboardX") is None and (find_spec("torch") is None or find_spec("tensorboard") is None):
            raise ImportError("TensorBoard needs tensorboardX, or torch and tensorboard: pip install tensorboardX")

    def __repr__(self) -> str:
        return f"TensorBoard({self.folder!r}, batches={self.batches})"

    def begin(self, fit: FitRecord) -> None:
        """Open the file."""
        if self._writer is not None:
            self._writer.close()
        self._writer = _writer(self.folder)

    def __call__(self, record: EpochRecord) -> None:
        """Write an epoch's points."""
        if self._writer is None:
            self._writer = _writer(self.folder)
        write = self._writer.add_scalar
        for name, value in record.logs.items():
            plain = name.removeprefix("val_")
            write(f"{plain}/{'training' if plain == name else 'validation'}", value, record.epoch)
        write("lr", record.optimizer.param_groups[0]["lr"], record.epoch)
        write("seconds", record.seconds, record.epoch)
        if self.batches:
            losses = record.batch_losses.tolist()
            for step, loss in enumerate(losses, (record.epoch - 1) * len(losses) + 1):
                write("batch/loss", loss, step)
        self._writer.flush()

    def end(self, stopped: str) -> None:
        """Close the file."""
        writer, self._writer = self._writer, None
        if writer is not None:
            writer.close()


def _writer(folder: str) -> Any:
    try:
        from tensorboardX import SummaryWriter
    except ImportError:
        from torch.utils.tensorboard import SummaryWriter
    return SummaryWriter(folder, flush_secs=1)
