"""Images that are another each time they are trained on."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from . import _core, arrays
from .arguments import flag, integer, number, shown

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from .layers import Input


class Augment:
    """What happens to an image, at random, each time that it comes in a batch of `Network.fit`.

    Networks of images learn more from few of them if each comes a little changed every time. It is done in compiled
    code while a batch is gathered, by moves alone: first a window is cut out and enlarged, then the image turned
    around, then moved.

    Parameters
    ----------
    shift : int or (int, int)
        Moved by at most so many places, up or down and left or right: one number for both, or (down, across).
    flip : bool
        Whether half of the images are turned left to right. Not for digits and letters.
    flip_vertical : bool
        Whether half of them are turned upside down.
    crop : float
        In (0, 1]. Of each image a window, somewhere in it, with a share of its height and width between this and 1, is
        enlarged to the size of the image, each place showing the nearest one. 1: none is cut out.
    fill : float
        What comes in from outside when an image is moved, in the numbers of X.

    Raises
    ------
    ValueError, TypeError
        If a number is out of range. In `fit`, if the network takes no image, or `shift` is not less than its size.

    Notes
    -----
    What happens follows from the network's seed, the number of the training pass, and the row's place in the batch: it
    is the same for any number of threads, and in a training that goes on after a stop.

    Examples
    --------
    >>> import numpy as np, schuss
    >>> x = np.arange(6.0).reshape(1, 2, 3, 1)
    >>> schuss.Augment(shift=(0, 1)).of(x, seed=2)[0, ..., 0]
    array([[1., 2., 0.],
           [4., 5., 0.]])
    """

    def __init__(
        self,
        shift: int | tuple[int, int] = 0,
        flip: bool = False,
        crop: float = 1.0,
        *,
        flip_vertical: bool = False,
        fill: float = 0.0,
    ) -> None:
        both: Any = shift if isinstance(shift, (tuple, list)) else (shift, shift)
        if len(both) != 2:
            raise ValueError(f"shift must be a number, or (down, across); got {shown(shift)}")
        name = "shift" if both is not shift else "shift[{}]"
        self.shift = integer(name.format(0), both[0], 0), integer(name.format(1), both[1], 0)
        self.flip, self.flip_vertical = flag("flip", flip), flag("flip_vertical", flip_vertical)
        self.crop = number("crop", crop, "(0, 1]")
        self.fill = number("fill", fill, "(-inf, inf)")

    def __repr__(self) -> str:
        vertical = f", flip_vertical={self.flip_vertical}" if self.flip_vertical else ""
        fill = f", fill={self.fill:g}" if self.fill else ""
        return f"Augment(shift={self.shift}, flip={self.flip}, crop={self.crop:g}{vertical}{fill})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Augment) and self.__dict__ == other.__dict__

    def __hash__(self) -> int:
        return hash(tuple(self.__dict__.values()))

    def of(self, X: Any, seed: int = 0, draw: int = 0) -> NDArray[Any]:
        """Images as a batch would have them.

        Parameters
        ----------
        X : array of shape (rows, height, width, channels)
            Numbers; others than float32 and float64 become float32.
        seed, draw : int
            What follows from a network's seed and the number of its training pass.

        Returns
        -------
        array of the same shape
            A new one.

        Raises
        ------
        ValueError, TypeError
            If X is not as described, or `shift` is not less than its size.
        """
        array = arrays.real_array("X", X)
        if array.ndim != 4 or not array.size:
            raise ValueError(f"X must have shape (rows, height, width, channels); got {array.shape}")
        array = arrays.converted(
            array, array.dtype if array.dtype.name in ("float32", "float64") else np.dtype("float32")
        )
        self._check("shift", array.shape[1:3])
        limit = 2**64 - 1
        return _core.augmented(array, self._of_core(), integer("seed", seed, 0, limit), integer("draw", draw, 0, limit))

    def _check(self, name: str, dims: tuple[int, ...]) -> None:
        for shift, size, what in zip(self.shift, dims, ("height", "width"), strict=True):
            if shift >= size:
                raise ValueError(f"{name} must be less than the image's {what}, {size}; got {shift}")

    def _of_core(self) -> tuple[float, tuple[bool, bool], tuple[int, int], float]:
        return self.crop, (self.flip_vertical, self.flip), self.shift, self.fill


def of_inputs(augment: Augment | None, inputs: Sequence[Input]) -> tuple[Any, ...] | None:
    """What the core is to do to a network's image.

    Raises
    ------
    ValueError, TypeError
        If it is no Augment, or there is not one image.
    """
    if augment is None:
        return None
    if not isinstance(augment, Augment):
        raise TypeError(f"augment must be a schuss.Augment or None; got {shown(augment)} ({type(augment).__name__})")
    images = [k for k, put in enumerate(inputs) if len(put.dims) == 2 and not put.codes]
    if len(images) != 1:
        given = ", ".join(f"{put.name!r} {' x '.join(map(str, put.shape.of_row))}" for put in inputs)
        raise ValueError(
            f"augment must be None for a network without one input of images (height, width, channels); its inputs are "
            f"{given}"
        )
    dims = inputs[images[0]].dims
    augment._check("augment.shift", dims)
    return images[0], dims, augment._of_core()
