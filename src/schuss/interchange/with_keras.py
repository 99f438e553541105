"""Networks from models of Keras, and models of Keras from networks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ..arguments import integer, shown
from ..layers import Input
from . import keras_images, keras_layers
from .parts import Part, check_dense, check_same, network_of, shape_behind, written

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ..network import Network

# All that are known, and what messages say of them.
_READERS = {**keras_layers.READERS, **keras_images.READERS}
_WRITERS = {**keras_layers.WRITERS, **keras_images.WRITERS}
_KNOWN = (*_READERS, *keras_images.PADS)
_HINT = "give the list of the layers that have counterparts, in their order"


def from_keras(model: Any, input_shape: Any = None, *, seed: int | None = None) -> Network:
    """A network with the layers and the weights of a model of Keras.

    Known are Dense, SimpleRNN, GRU, LSTM, Bidirectional, TimeDistributed of Dense, Conv1D, Conv2D, max and average
    pools, global ones, Flatten, zero padding in front of a convolution, Embedding, LayerNormalization,
    BatchNormalization, Dropout, Activation, ReLU, LeakyReLU, ELU, Softmax, and models of these, one after the other.
    What the model gives for random rows is compared with what the network gives.

    Parameters
    ----------
    model : keras.Model, layer or list of layers
        Built. In a list, layers one after the other.
    input_shape : int or tuple, optional
        Of a row: columns, (times, features), (height, width, channels), or (times,) of codes for an
        Embedding. Default: the model's; it has to be given where that leaves the times open.
    seed : int, optional
        Of the network.

    Returns
    -------
    Network
        In the model's dtype.

    Raises
    ------
    ValueError, TypeError
        If a layer is not known, or one of its arguments has no counterpart: the message has its name.

    See Also
    --------
    to_keras : The weights back, after training.

    Examples
    --------
    >>> import keras, schuss  # doctest: +SKIP
    >>> model = keras.Sequential([keras.Input((32, 16)), keras.layers.GRU(64), keras.layers.Dense(1)])  # doctest: +SKIP
    >>> net = schuss.from_keras(model)  # doctest: +SKIP
    """
    layers = _listed(model, "model")
    first = _input_of(model, layers, input_shape)
    dtype = _dtype_of(layers)
    net = network_of(first, _read(layers, first), dtype, seed)
    _check(net, model, layers)
    return net


def to_keras(network: Network, model: Any = None) -> Any:
    """A model of Keras with a network's layers and weights, or one that is there with its weights.

    Parameters
    ----------
    network : Network
        Of layers that `from_keras` knows, one after the other; `Bidirectional` is one.
    model : keras.Model, layer or list of layers, optional
        What gets the weights, in place: it has to be of the same layers. Default: a new ``keras.Sequential``.

    Returns
    -------
    keras.Model
        The model.

    Raises
    ------
    ValueError, TypeError
        If a layer has no counterpart, or the model is of others; it is then as it was.
    """
    if model is None:
        model = _made(network)
    layers = _listed(model, "model")
    undo = written(network, _read(layers, network.inputs[0]))
    try:
        _check(network, model, layers)
    except ValueError:
        undo()
        raise
    return model


# ---- reading ---------------------------------------------------------------------------------------------------------


def _listed(model: Any, where: str) -> list[tuple[str, Any]]:
    """Layers one after the other, and what messages call them."""
    import keras

    if isinstance(model, (list, tuple)):
        return [pair for k, one in enumerate(model) for pair in _listed(one, f"{where}[{k}]")]
    if not isinstance(model, keras.layers.Layer):
        raise TypeError(f"{where} must be a layer of Keras; got {shown(model)} ({type(model).__name__})")
    name = type(model).__name__
    if name in _KNOWN and type(model) is getattr(keras.layers, name, None):
        return [(where, model)]
    if not isinstance(model, keras.Model) or not model.layers:
        raise TypeError(f"{where} must be made of layers that are known ({', '.join(_KNOWN)}); got {name}")
    return [pair for k, one in enumerate(model.layers) for pair in _listed(one, f"{where}.layers[{k}]")]


def _read(layers: Sequence[tuple[str, Any]], first: Input) -> list[Part]:
    parts: list[Part] = []
    pads: tuple[str, Any] | None = None
    for where, layer in layers:
        if not layer.built:
            raise ValueError(
                f"{where}, {type(layer).__name__}, must be built: give the model an Input, or call it once"
            )
        if type(layer).__name__ in keras_images.PADS:
            pads = where, layer
            continue
        found = _READERS[type(layer).__name__](layer, where, shape_behind(first, parts))
        if pads is not None:
            found, pads = keras_images.padded(found, *pads), None
        parts += found
    if pads is not None:
        raise ValueError(f"{pads[0]} must come before a convolution, which pads here")
    if not parts:
        raise ValueError("model must have a layer that computes something; got none")
    return parts


def _input_of(model: Any, layers: Sequence[tuple[str, Any]], given: Any) -> Input:
    """What comes in, in front of the first layer."""
    leading = [(where, layer) for where, layer in layers if type(layer).__name__ not in ("InputLayer", "Masking")]
    codes = bool(leading) and type(leading[0][1]).__name__ == "Embedding"
    if given is None:
        found = getattr(model, "input_shape", None)
        if not isinstance(found, tuple) or not found or None in found[1:]:
            raise ValueError(
                f"input_shape must be that of a row, with its times, as the model leaves it open; got {found}"
            )
        sizes = tuple(found[1:])
    else:
        sizes = tuple(given) if isinstance(given, (tuple, list)) else (given,)
    sizes = tuple(integer("input_shape" if len(sizes) == 1 else f"input_shape[{k}]", n, 1) for k, n in enumerate(sizes))
    if codes:
        if len(sizes) != 1:
            raise ValueError(f"input_shape must be (times,) for {leading[0][0]}, Embedding; got {shown(sizes)}")
        return Input("x", (*sizes, 1), dtype="int64")
    return Input("x", sizes if len(sizes) > 1 else sizes[0])


def _dtype_of(layers: Sequence[tuple[str, Any]]) -> str:
    found = {str(variable.dtype) for _, layer in layers for variable in layer.weights if "seed" not in variable.path}
    if not found:
        return "float32"
    if len(found) > 1 or not found <= {"float32", "float64"}:
        raise TypeError(f"model must have weights of float32 or of float64; got {', '.join(sorted(found))}")
    return found.pop()


def _check(network: Network, model: Any, layers: Sequence[tuple[str, Any]]) -> None:
    """Whether the model gives what the network gives."""
    import keras

    if isinstance(model, (list, tuple)):
        return
    first = network.inputs[0]
    rng = np.random.default_rng(0)
    x: NDArray[Any]
    if first.codes:
        limit = next(layer.input_dim for _, layer in layers if type(layer).__name__ == "Embedding")
        x = rng.integers(0, limit, (3, *first.row_shape)).astype(np.int32)
    else:
        x = rng.normal(size=(3, *first.row_shape)).astype(network.dtype)
    try:
        given = np.moveaxis(x, 1, -1) if first.channels == "first" else x
        found = model(given[..., 0] if first.codes else given, training=False)
    except Exception as error:
        raise ValueError(f"model must take rows of shape {x.shape}; got {type(error).__name__}: {error}") from error
    while isinstance(found, (tuple, list)):
        found = found[0]
    check_same(network, x, keras.ops.convert_to_numpy(found), _HINT)


# ---- writing ---------------------------------------------------------------------------------------------------------


def _made(network: Network) -> Any:
    """A Sequential of a network's layers."""
    import keras

    if len(network.inputs) > 1:
        raise ValueError(f"network must have one input; got {len(network.inputs)}")
    first = network.inputs[0]
    check_dense(first)
    layers = [layer for layer in network.layers if not isinstance(layer, Input)]
    shape = first.dims if first.codes and first.n == 1 else first.shape.of_row
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(network.dtype.name)
    try:
        behind: list[Part] = []
        made = [keras.Input(shape, dtype="int32" if first.codes else network.dtype.name)]
        for k, layer in enumerate(layers):
            where = f"network.layers[{k + len(network.layers) - len(layers)}]"
            if layer.kind not in _WRITERS:
                raise TypeError(f"{where} must be one of {', '.join(_WRITERS)}; got {type(layer).__name__}")
            made += _WRITERS[layer.kind](layer, shape_behind(first, behind), where)
            behind.append(Part(layer, {}, where))
        return keras.Sequential(made)
    finally:
        keras.config.set_dtype_policy(before)
