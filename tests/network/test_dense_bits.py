"""Dense networks compute the bits that they always have: hashes for any threads and all sets with fused multiply-add.

Data are whole numbers divided once, so they are the same everywhere. No sum over rows is of more than 256 of them. A
hash is of little-endian bytes. Beside it stands a loss, compared to 12 digits, which tells another formula from another
order of operations: where only the hash differs, the bits have changed.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import schuss
from schuss import Dense

Array = NDArray[Any]
Levels = Callable[[], Iterator[str]]
SetThreads = Callable[[int], None]
THREADS = (1, 2, 3)
dtypes = pytest.mark.parametrize("dtype", ["float32", "float64"])


def grid(rows: int, columns: int, key: int) -> Array:
    """Numbers in [0, 1) that look random."""
    k = np.arange(1, rows * columns + 1, dtype=np.int64).reshape(rows, columns) + 131 * key
    return (k * k % 1000003 * 7919 + k * 5003) % 10007 / 10007


def hashed(arrays: Iterable[Array]) -> str:
    found = hashlib.sha256()
    for array in arrays:
        found.update(np.asarray(array).astype("<f8" if array.dtype == np.float64 else "<f4").tobytes())
    return found.hexdigest()[:16]


def dense(*sizes: int, hidden: str = "relu", dropout: float = 0.0, last: str = "identity") -> list[Dense]:
    """Layers of these sizes."""
    inner = [Dense(a, b, hidden, dropout=dropout) for a, b in pairwise(sizes[:-1])]
    return [*inner, Dense(sizes[-2], sizes[-1], last)]


def targets(kind: str, x: Array, n_out: int) -> Array:
    """Labels, rows of probabilities, values, positive values, or zeros and ones."""
    values = x[:, [k % x.shape[1] for k in range(n_out)]] + grid(len(x), n_out, 5)
    labels = np.argmax(values, axis=1)
    one_hot = np.eye(n_out)[labels]
    return {
        "labels": labels,
        "shares": 0.75 * one_hot + 0.25 * np.roll(one_hot, 1, axis=1),
        "values": values,
        "positive": np.abs(values) + 0.25,
        "binary": (values > 0.5).astype(np.float64),
    }[kind]


TARGETS = {
    "cross_entropy": "labels",
    "focal": "labels",
    "binary_cross_entropy": "binary",
    "binary_focal": "binary",
    "poisson": "positive",
    "gamma": "positive",
    "tweedie": "positive",
}


def data(layers: list[Dense], rows: int, loss: str, dtype: str, target: str | None = None) -> tuple[Array, Array]:
    x = (4 * grid(rows, layers[0].n_in, 1) - 2).astype(dtype)
    return x, targets(target or TARGETS.get(loss, "values"), x.astype(np.float64), layers[-1].n_out)


@dataclass(frozen=True)
class Fit:
    """A network and how it is trained, by which optimizer; rows do not divide by the batch unless they are said to."""

    layers: list[Dense]
    rows: int
    batch_size: int
    optimizer: str = "adam"
    options: dict[str, Any] = field(default_factory=dict)
    loss: str = "cross_entropy"
    epochs: int = 2
    weighted: bool = False
    more: dict[str, Any] = field(default_factory=dict)

    def network(self, dtype: str) -> schuss.Network:
        return schuss.Network(self.layers, seed=2024, dtype=dtype)

    def start(self, net: schuss.Network) -> schuss.Optimizer:
        options = {"adamw": {}, **self.options} if self.optimizer == "muon" else self.options
        return schuss.optim.by_name(self.optimizer)(net.parameters, **options)

    def run(self, net: schuss.Network, optimizer: schuss.Optimizer | None, epochs: int) -> None:
        x, y = data(self.layers, self.rows, self.loss, net.dtype.name)
        weights = 2 * grid(self.rows, 1, 9)[:, 0] if self.weighted else None
        arguments = {"loss": self.loss, "batch_size": self.batch_size, "sample_weight": weights, **self.more}
        net.fit(x, y, optimizer=optimizer, epochs=epochs, **arguments)

    def numbers(self, net: schuss.Network) -> tuple[str, float]:
        """Hash of parameters, states and predictions; the last epoch's loss."""
        assert net.optimizer is not None
        states = net.optimizer.state_dict()["state"]
        arrays = [
            np.asarray(states[k][name], dtype=net.dtype)
            for k in sorted(states)
            for name in sorted(states[k])
            if isinstance(states[k][name], np.ndarray)
        ]
        x, _ = data(self.layers, self.rows, self.loss, net.dtype.name)
        return hashed([*net.parameters, *arrays, net.predict(x)]), float(net.history["loss"][-1])


SGD = {"lr": 0.05, "momentum": 0.9}
ADAMW = {"lr": 0.01, "weight_decay": 0.05}
CLIPPED = {"clip_norm": 0.5}
FITS = {
    "4-16-3 sgd": Fit(dense(4, 16, 3), 20, 1, "sgd", SGD),
    "4-16-3 adam": Fit(dense(4, 16, 3, hidden="tanh"), 20, 1, "adam", {"lr": 0.01}),
    "4-16-3 adamw clipped": Fit(dense(4, 16, 3), 20, 1, "adamw", ADAMW, more=CLIPPED),
    "4-16-3 rmsprop mse in order": Fit(dense(4, 16, 3), 20, 1, "rmsprop", loss="mse", more={"shuffle": False}),
    "4-16-3 softmax": Fit(dense(4, 16, 3, last="softmax"), 20, 3, "adam"),
    "64-100-10 sgd": Fit(dense(64, 100, 10), 150, 32, "sgd", SGD),
    "64-100-10 sgd nesterov": Fit(dense(64, 100, 10), 150, 32, "sgd", {**SGD, "nesterov": True, "weight_decay": 0.01}),
    "64-100-10 adam": Fit(dense(64, 100, 10), 150, 32, "adam", {"amsgrad": True}),
    "64-100-10 adam weighted": Fit(dense(64, 100, 10), 150, 32, "adam", weighted=True),
    "64-100-10 adamw clipped": Fit(dense(64, 100, 10), 150, 32, "adamw", ADAMW, more=CLIPPED),
    "64-100-10 rmsprop": Fit(dense(64, 100, 10), 150, 32, "rmsprop", {"momentum": 0.5, "centered": True}),
    "64-100-10 muon": Fit(dense(64, 100, 10), 150, 32, "muon", {"lr": 0.01}),
    "64-100-10 in order": Fit(dense(64, 100, 10), 150, 32, "adam", more={"shuffle": False}),
    "64-100-10 clip_value": Fit(dense(64, 100, 10), 150, 32, "adam", more={"clip_value": 0.01, "clip_norm": 0.3}),
    "64-100-10 mse": Fit(dense(64, 100, 10, hidden="gelu"), 150, 32, "adam", loss="mse"),
    "64-100-10 binary": Fit(dense(64, 100, 10, last="sigmoid"), 150, 32, "adam", loss="binary_cross_entropy"),
    "64-100-10 all rows": Fit(dense(64, 100, 10), 150, 150, "adam"),
    "64-100-10 200 rows": Fit(dense(64, 100, 10), 400, 200, "adam"),
    "20-64-64-2 sgd": Fit(dense(20, 64, 64, 2, hidden="elu"), 200, 64, "sgd", SGD),
    "20-64-64-2 dropout": Fit(dense(20, 64, 64, 2, dropout=0.3), 200, 64, "adam"),
    "20-64-64-2 dropout weighted": Fit(dense(20, 64, 64, 2, dropout=0.5), 200, 64, "adamw", ADAMW, weighted=True),
    "20-64-64-2 binary": Fit(dense(20, 64, 64, 2), 200, 64, "rmsprop", loss="binary_cross_entropy", weighted=True),
    "20-64-64-2 silu mse": Fit(dense(20, 64, 64, 2, hidden="silu"), 200, 64, "adam", loss="mse", more=CLIPPED),
    "130-257-10 sgd": Fit(dense(130, 257, 10), 120, 50, "sgd", SGD),
    "130-257-10 adam dropout": Fit(dense(130, 257, 10, dropout=0.2), 120, 50, "adam", weighted=True),
    "130-257-10 adamw clipped": Fit(dense(130, 257, 10), 120, 50, "adamw", ADAMW, more=CLIPPED),
    "130-257-10 muon": Fit(dense(130, 257, 10, hidden="leaky_relu"), 120, 50, "muon", {"lr": 0.01}, epochs=1),
    "130-257-10 without bias": Fit([Dense(130, 257, "relu", bias=False), Dense(257, 10, bias=False)], 120, 50),
    "784-256-10 sgd": Fit(dense(784, 256, 10), 384, 128, "sgd", SGD, epochs=1),
    "784-256-10 adam": Fit(dense(784, 256, 10), 384, 128, "adam", epochs=1),
    "784-256-10 adamw clipped": Fit(dense(784, 256, 10), 384, 128, "adamw", ADAMW, epochs=1, more=CLIPPED),
    "300-300-300-7 sgd": Fit(dense(300, 300, 300, 7), 200, 96, "sgd", SGD, epochs=1),
    "300-300-300-7 adam": Fit(dense(300, 300, 300, 7), 200, 96, "adam"),
    "300-300-300-7 adam dropout": Fit(dense(300, 300, 300, 7, dropout=0.1), 200, 96, "adam", weighted=True, epochs=1),
    "300-300-300-7 adamw clipped": Fit(dense(300, 300, 300, 7), 200, 96, "adamw", ADAMW, epochs=1, more=CLIPPED),
    "300-300-300-7 rmsprop mse": Fit(dense(300, 300, 300, 7, hidden="tanh"), 200, 96, "rmsprop", loss="mse", epochs=1),
}
NETS = {
    "4-16-3": (dense(4, 16, 3), 1),
    "64-100-10": (dense(64, 100, 10), 32),
    "20-64-64-2": (dense(20, 64, 64, 2, dropout=0.3), 64),
    "130-257-10": (dense(130, 257, 10, hidden="gelu"), 50),
    "784-256-10": (dense(784, 256, 10), 128),
    "300-300-300-7": (dense(300, 300, 300, 7, hidden="tanh"), 96),
}
"""Layers and rows, for single passes."""
LOSSES = (
    "mse",
    "mae",
    "huber",
    "quantile",
    "cross_entropy",
    "binary_cross_entropy",
    "focal",
    "binary_focal",
    "poisson",
    "gamma",
    "tweedie",
)


# ---- what is computed: (hash, loss) --------------------------------------------------------------------------------


def fit(name: str, dtype: str) -> tuple[str, float]:
    case = FITS[name]
    net = case.network(dtype)
    case.run(net, case.start(net), case.epochs)
    return case.numbers(net)


def fit_in_two(name: str, dtype: str, path: Path) -> tuple[str, float]:
    """The same, through a file after the first epoch."""
    case = FITS[name]
    net = case.network(dtype)
    case.run(net, case.start(net), 1)
    net.save(path)
    net = schuss.load(path)
    case.run(net, None, case.epochs - 1)
    return case.numbers(net)


def passes(name: str, dtype: str) -> tuple[str, float]:
    """Forward, backward, then predictions."""
    layers, rows = NETS[name]
    net = schuss.Network(layers, seed=7, dtype=dtype)
    x, _ = data(layers, rows, "mse", dtype)
    output = net.forward(x)
    dx = net.backward((grid(rows, net.n_out, 4) - 0.5).astype(dtype))
    return hashed([output, dx, *net.gradients]), float(np.abs(output, dtype=np.float64).sum())


def gradients(name: str, dtype: str) -> tuple[str, float]:
    """Of the cross-entropy, weighted and not."""
    layers, rows = NETS[name]
    net = schuss.Network(layers, seed=7, dtype=dtype)
    x, y = data(layers, rows, "cross_entropy", dtype)
    plain = net.loss_and_gradients(x, y, "cross_entropy")
    arrays = [g.copy() for g in net.gradients]
    weighted = net.loss_and_gradients(x, y, "cross_entropy", sample_weight=grid(rows, 1, 9)[:, 0] + 0.5)
    return hashed([*arrays, *net.gradients]), plain + weighted


def gradients_of(loss: str, dtype: str) -> tuple[str, float]:
    """Of each loss, weighted."""
    layers = dense(20, 64, 64, 2, last={"poisson": "exp", "gamma": "exp", "tweedie": "exp"}.get(loss, "identity"))
    net = schuss.Network(layers, seed=3, dtype=dtype)
    x, y = data(layers, 64, loss, dtype)
    value = net.loss_and_gradients(x / 4, y, loss, sample_weight=grid(64, 1, 9)[:, 0])
    return hashed(net.gradients), value


def steps(name: str, dtype: str) -> tuple[str, float]:
    """Single steps, the last with fewer rows and probabilities for labels."""
    layers, rows = NETS[name]
    net = schuss.Network(layers, seed=5, dtype=dtype)
    optimizer = schuss.AdamW(net.parameters, lr=0.01)
    x, y = data(layers, rows, "cross_entropy", dtype)
    _, shares = data(layers, rows, "cross_entropy", dtype, "shares")
    weights = grid(rows, 1, 9)[:, 0] + 0.5
    total = net.train_step(x, y, "cross_entropy", optimizer)
    total += net.train_step(x, y, "cross_entropy", optimizer, sample_weight=weights, clip_norm=0.5)
    part = (rows + 1) // 2
    total += net.train_step(x[:part], shares[:part], "cross_entropy", optimizer, clip_value=0.01)
    return hashed(net.parameters), total


def predictions(name: str, dtype: str) -> tuple[str, float]:
    """One row, the batch, and many rows."""
    layers, rows = NETS[name]
    net = schuss.Network(layers, seed=7, dtype=dtype)
    x, _ = data(layers, 3 * rows + 200, "mse", dtype)
    found = [net.predict(x[0]), net.predict(x[:rows]), net.predict(x), net.predict(x[::2].astype(np.float64))]
    return hashed(found), float(np.abs(found[2], dtype=np.float64).sum())


# ---- what it is ----------------------------------------------------------------------------------------------------

EXPECTED: dict[str, tuple[str, float]] = {
    "fit 4-16-3 sgd float32": ("6c97556788fc204a", 0.8610918107960004),
    "fit 4-16-3 sgd float64": ("3ec1fd82cf4fd9d8", 0.8610924951605428),
    "fit 4-16-3 adam float32": ("0f2d0abdd5638027", 0.47257593087852),
    "fit 4-16-3 adam float64": ("a6df4c772ba9a033", 0.47257592251531344),
    "fit 4-16-3 adamw clipped float32": ("cd7b09e39aaca1af", 0.5628132742363959),
    "fit 4-16-3 adamw clipped float64": ("df7e8901378f3050", 0.5628131380381938),
    "fit 4-16-3 rmsprop mse in order float32": ("7f3c24529d8cae79", 0.5208459797004859),
    "fit 4-16-3 rmsprop mse in order float64": ("367aadf22a6f0bea", 0.5208460562937482),
    "fit 4-16-3 softmax float32": ("334156172bb08514", 1.6287521958351134),
    "fit 4-16-3 softmax float64": ("d8bb4e466070eae3", 1.6287522708490898),
    "fit 64-100-10 sgd float32": ("aa8f2b6c1f1accbb", 1.7662893578906853),
    "fit 64-100-10 sgd float64": ("d8b444d1b46256b2", 1.7662893169823888),
    "fit 64-100-10 sgd nesterov float32": ("3a29e09f920307da", 1.588195172448953),
    "fit 64-100-10 sgd nesterov float64": ("eef55994efdeb88e", 1.5881951745041472),
    "fit 64-100-10 adam float32": ("a74c4adabada05a6", 2.7491109001636507),
    "fit 64-100-10 adam float64": ("0d4b353b790d208d", 2.7491109142984915),
    "fit 64-100-10 adam weighted float32": ("fb739e3614b33b58", 2.6345014568855007),
    "fit 64-100-10 adam weighted float64": ("41d9314bc5513550", 2.6345014718146444),
    "fit 64-100-10 adamw clipped float32": ("4961914c679a372a", 1.2745701028158267),
    "fit 64-100-10 adamw clipped float64": ("522e4ba17126cce1", 1.2745700581137842),
    "fit 64-100-10 rmsprop float32": ("ab92e088a25ceb38", 1.8516939648947175),
    "fit 64-100-10 rmsprop float64": ("0075b65066cb7138", 1.8516937689195523),
    "fit 64-100-10 muon float32": ("10ce2ca409fe2569", 2.387472138206164),
    "fit 64-100-10 muon float64": ("cdd2d3f6fbe99d87", 2.387471965372143),
    "fit 64-100-10 in order float32": ("a668238d98da7772", 2.7291909432411194),
    "fit 64-100-10 in order float64": ("084ef4a8a4157882", 2.7291909352925585),
    "fit 64-100-10 clip_value float32": ("b47437fccdcb498b", 2.7659774577617644),
    "fit 64-100-10 clip_value float64": ("7db70db7d96c0594", 2.765977511083161),
    "fit 64-100-10 mse float32": ("6d857f27b60f59c9", 3.1512042700449627),
    "fit 64-100-10 mse float64": ("67e2cbcfa2ffc0e7", 3.1512041847608856),
    "fit 64-100-10 binary float32": ("adae70d4d7ff435c", 0.8219928882916768),
    "fit 64-100-10 binary float64": ("ec0f830691fd1893", 0.8219928874198005),
    "fit 64-100-10 all rows float32": ("053666806b67b690", 2.970371892650922),
    "fit 64-100-10 all rows float64": ("5095ea2bbab9c3a8", 2.97037188667952),
    "fit 64-100-10 200 rows float32": ("27af79843cb32af9", 2.9004327568039296),
    "fit 64-100-10 200 rows float64": ("9b66dd50f7f6d947", 2.900432763015439),
    "fit 20-64-64-2 sgd float32": ("823fd5a819d13b7f", 0.2989687227125387),
    "fit 20-64-64-2 sgd float64": ("413485d52788dc14", 0.29896874405187396),
    "fit 20-64-64-2 dropout float32": ("18dc77111bb4dc59", 0.9144440513932568),
    "fit 20-64-64-2 dropout float64": ("59888923d4c6610a", 0.9144439965920838),
    "fit 20-64-64-2 dropout weighted float32": ("f09e09568897ef57", 0.9133791477027152),
    "fit 20-64-64-2 dropout weighted float64": ("b70642a5a21b48e9", 0.9133793504917039),
    "fit 20-64-64-2 binary float32": ("b85edb567a951b5d", 0.4412571552228594),
    "fit 20-64-64-2 binary float64": ("47713c337658f1af", 0.4412572156115366),
    "fit 20-64-64-2 silu mse float32": ("66e1b740fa6488ad", 2.6433695097034797),
    "fit 20-64-64-2 silu mse float64": ("3853af9659596298", 2.6433694310735234),
    "fit 130-257-10 sgd float32": ("de858345061e109f", 1.7346875704824924),
    "fit 130-257-10 sgd float64": ("4d0dd77a8e29c124", 1.7346874776517685),
    "fit 130-257-10 adam dropout float32": ("d7bdeea260d09981", 2.835182124924565),
    "fit 130-257-10 adam dropout float64": ("e44deb4bfbbcbc06", 2.8351823420745745),
    "fit 130-257-10 adamw clipped float32": ("57eeb5c8d9cbe6c8", 0.506898315208188),
    "fit 130-257-10 adamw clipped float64": ("f1145ede13e032e4", 0.5068981338393662),
    "fit 130-257-10 muon float32": ("a25099a650620659", 3.1803320455054442),
    "fit 130-257-10 muon float64": ("de14fc1b5dc2c5a5", 3.1803319634779057),
    "fit 130-257-10 without bias float32": ("49c0961e439ba343", 2.56637707191209),
    "fit 130-257-10 without bias float64": ("28049fff5881592c", 2.5663773066900175),
    "fit 784-256-10 sgd float32": ("976635cdeb887253", 3.164974140236154),
    "fit 784-256-10 sgd float64": ("76fd1d201a4913d7", 3.164974138235196),
    "fit 784-256-10 adam float32": ("9f7a8b9bf1d4c37c", 3.189761249581352),
    "fit 784-256-10 adam float64": ("8939eec68940e977", 3.189761447228005),
    "fit 784-256-10 adamw clipped float32": ("826dc85892e715bb", 3.343138402521921),
    "fit 784-256-10 adamw clipped float64": ("f086ce6fe38a6151", 3.343140011423975),
    "fit 300-300-300-7 sgd float32": ("37e8e21080eef16a", 2.751203860193491),
    "fit 300-300-300-7 sgd float64": ("509f63fa84b222dc", 2.751203855706917),
    "fit 300-300-300-7 adam float32": ("d1039256a5655ad3", 1.5761992229521276),
    "fit 300-300-300-7 adam float64": ("acfa71a55143fe4f", 1.5761992591452798),
    "fit 300-300-300-7 adam dropout float32": ("b63903a11188c30b", 2.7137473504150647),
    "fit 300-300-300-7 adam dropout float64": ("60cc9f1d5a7a9b47", 2.7137473018072233),
    "fit 300-300-300-7 adamw clipped float32": ("9813088a8ebe8cc6", 5.271301762812654),
    "fit 300-300-300-7 adamw clipped float64": ("3a8a2de8e8678960", 5.271300976636172),
    "fit 300-300-300-7 rmsprop mse float32": ("a818f235403524d7", 9.346908356632506),
    "fit 300-300-300-7 rmsprop mse float64": ("14d1ae9a603fdb37", 9.346949787915275),
    "passes 4-16-3 float32": ("7df0959bcc5bc646", 1.3704780638217926),
    "passes 4-16-3 float64": ("a027c8ecd46b690d", 1.3704781458289372),
    "passes 64-100-10 float32": ("4aeeda99bbf695cb", 372.7407872970798),
    "passes 64-100-10 float64": ("4237e730debbf468", 372.74080215898755),
    "passes 20-64-64-2 float32": ("3ad5a9f399e85442", 203.97250898182392),
    "passes 20-64-64-2 float64": ("8858d556b745794c", 203.97249885593985),
    "passes 130-257-10 float32": ("4a26705b08728bea", 646.8549296322453),
    "passes 130-257-10 float64": ("d97a7aefa31aa58f", 646.8549079485192),
    "passes 784-256-10 float32": ("e74f06c2ddbc6bd5", 1642.5472194051836),
    "passes 784-256-10 float64": ("068679e74f026255", 1642.547243848572),
    "passes 300-300-300-7 float32": ("85abd6bba47e8ac1", 384.5791078665061),
    "passes 300-300-300-7 float64": ("107c4db063bc4064", 384.57911877753384),
    "gradients 4-16-3 float32": ("1b2838e42743a3ef", 1.6119561195373535),
    "gradients 4-16-3 float64": ("56e761737bbf360c", 1.6119559959344574),
    "gradients 64-100-10 float32": ("12c539267ec9f168", 7.557634979684652),
    "gradients 64-100-10 float64": ("424d907ea592f253", 7.557635175647743),
    "gradients 20-64-64-2 float32": ("be602f06111e02f4", 2.9643431611057443),
    "gradients 20-64-64-2 float64": ("609807a7b12633d0", 2.964343111062824),
    "gradients 130-257-10 float32": ("bfe8957041ba975b", 6.735841703116302),
    "gradients 130-257-10 float64": ("81907a628375e4f9", 6.735841507640218),
    "gradients 784-256-10 float32": ("209e3079451c0dac", 6.454138318630239),
    "gradients 784-256-10 float64": ("73f442c5ebb60c2b", 6.454138187753408),
    "gradients 300-300-300-7 float32": ("eac516055436c045", 4.449523947121143),
    "gradients 300-300-300-7 float64": ("c331edcfec293bfa", 4.449523884121131),
    "steps 4-16-3 float32": ("04688d5cefd7bd61", 1.910708487033844),
    "steps 4-16-3 float64": ("2db06740685b3018", 1.9107082953647323),
    "steps 64-100-10 float32": ("159dd9b5bc1e0b4d", 6.102326505277244),
    "steps 64-100-10 float64": ("d06fb3227c7a12b0", 6.10232632915554),
    "steps 20-64-64-2 float32": ("9fd421233aa59e9f", 2.2163929479656757),
    "steps 20-64-64-2 float64": ("5b89a514c0b95957", 2.2163929586183864),
    "steps 130-257-10 float32": ("c26c0e3e67300998", 5.960390190864725),
    "steps 130-257-10 float64": ("2b38cf4a7acfff67", 5.960390389875585),
    "steps 784-256-10 float32": ("7b7fcc6d7900654e", 6.499287375514841),
    "steps 784-256-10 float64": ("6a2a073ca88c6de8", 6.49928801927476),
    "steps 300-300-300-7 float32": ("081ac0f4222a61da", 4.592292897406678),
    "steps 300-300-300-7 float64": ("5b31f027a9f24c60", 4.592297491076446),
    "predictions 4-16-3 float32": ("330314317300de52", 620.6384395493242),
    "predictions 4-16-3 float64": ("9d95a6c29af11344", 620.6384350880426),
    "predictions 64-100-10 float32": ("3cb0c69b62b251d5", 3442.110213812557),
    "predictions 64-100-10 float64": ("a9495fde0d5421a8", 3442.1102136708355),
    "predictions 20-64-64-2 float32": ("140d4628e3001af0", 867.7639991150936),
    "predictions 20-64-64-2 float64": ("457ad25e5089ed7f", 867.764005536158),
    "predictions 130-257-10 float32": ("8ffb0a3817fe3db9", 4413.657031406037),
    "predictions 130-257-10 float64": ("1b0259bdeabf9aa2", 4413.65703347124),
    "predictions 784-256-10 float32": ("c6e339c69c280973", 7376.463226958469),
    "predictions 784-256-10 float64": ("952eb093b165e775", 7376.46319775914),
    "predictions 300-300-300-7 float32": ("922d1b07bfabff7b", 1972.2086815316034),
    "predictions 300-300-300-7 float64": ("703f93f2499cf91e", 1972.208743502234),
    "gradients_of mse float32": ("ca9d4aad45371e8d", 1.7914955761725826),
    "gradients_of mse float64": ("55d23303b4cae89e", 1.7914955802849666),
    "gradients_of mae float32": ("f7fde708bbe912c4", 1.0789780297020324),
    "gradients_of mae float64": ("4bd92c3362a67bd0", 1.0789780338985573),
    "gradients_of huber float32": ("fc34b8d73d555795", 0.6823224604621762),
    "gradients_of huber float64": ("a34f4967bade1b8a", 0.6823224581029651),
    "gradients_of quantile float32": ("92d5b138cfc303bd", 0.5394890148510162),
    "gradients_of quantile float64": ("2da2c224e8d58094", 0.5394890169492786),
    "gradients_of cross_entropy float32": ("15a1f3f311e23088", 0.723719130900553),
    "gradients_of cross_entropy float64": ("08cfe30c29e16c4b", 0.72371914159348),
    "gradients_of binary_cross_entropy float32": ("a9817669a85bb1b8", 0.6926277741650168),
    "gradients_of binary_cross_entropy float64": ("6b07a1f20692387c", 0.6926277740823812),
    "gradients_of focal float32": ("e5ee77156a7bfa78", 0.21651554317302668),
    "gradients_of focal float64": ("f15d6548b2778c5e", 0.21651555177801818),
    "gradients_of binary_focal float32": ("4532b06546eb554d", 0.19654074639337468),
    "gradients_of binary_focal float64": ("40d20f7cf8380de4", 0.19654074886113823),
    "gradients_of poisson float32": ("9d0ae42ef686c43c", 1.1760066357559393),
    "gradients_of poisson float64": ("344d7d5de943b3c7", 1.1760066447340145),
    "gradients_of gamma float32": ("b5917c99b09e5b8e", 1.508702673409484),
    "gradients_of gamma float64": ("f1e752ad3a543972", 1.5087026614347057),
    "gradients_of tweedie float32": ("81af45783fea9d69", 4.701256374773588),
    "gradients_of tweedie float64": ("c85d6d29e61ffc1d", 4.701256347871654),
}


def assert_bits(
    compute: Callable[[str, str], tuple[str, float]], name: str, dtype: str, levels: Levels, set_threads: SetThreads
) -> None:
    """On every instruction set with a fused multiply-add, with every number of threads."""
    wanted, value = EXPECTED[f"{compute.__name__} {name} {dtype}"]
    for level in levels():
        for threads in THREADS:
            set_threads(threads)
            found, loss = compute(name, dtype)
            assert loss == pytest.approx(value, rel=1e-12), (level, threads)
            assert found == wanted, (level, threads)


@dtypes
@pytest.mark.parametrize("name", list(FITS))
def test_fit(name: str, dtype: str, each_fma_isa: Levels, set_threads: SetThreads) -> None:
    assert_bits(fit, name, dtype, each_fma_isa, set_threads)


@dtypes
@pytest.mark.parametrize("name", [name for name, case in FITS.items() if case.epochs == 2])
def test_fit_through_a_file(
    name: str, dtype: str, each_fma_isa: Levels, set_threads: SetThreads, tmp_path: Path
) -> None:
    wanted, _ = EXPECTED[f"fit {name} {dtype}"]
    for level in each_fma_isa():
        set_threads(2)
        assert fit_in_two(name, dtype, tmp_path / "net.npz")[0] == wanted, level


@dtypes
@pytest.mark.parametrize("name", list(NETS))
@pytest.mark.parametrize("compute", [passes, gradients, steps, predictions])
def test_single_calls(
    compute: Callable[[str, str], tuple[str, float]],
    name: str,
    dtype: str,
    each_fma_isa: Levels,
    set_threads: SetThreads,
) -> None:
    assert_bits(compute, name, dtype, each_fma_isa, set_threads)


@dtypes
@pytest.mark.parametrize("loss", LOSSES)
def test_losses(loss: str, dtype: str, each_fma_isa: Levels, set_threads: SetThreads) -> None:
    assert_bits(gradients_of, loss, dtype, each_fma_isa, set_threads)
