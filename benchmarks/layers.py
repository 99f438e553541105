"""Training steps of networks with layers that are not dense, beside torch and beside what they cost here."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

import schuss
from schuss.layers import Layer

from . import peers
from .limits import ARITHMETIC_NOTE, Limits
from .tables import Result, row
from .timing import Contender, alternate

STEPS = 16


@dataclass(frozen=True)
class Case:
    """A network beside another of ours: without these layers, or trained whole.

    Attributes
    ----------
    name : str
    batch : int
    layers, other : callable
        Make the layers.
    torch : callable
        Makes torch's model, given torch.
    products : int
        Multiply-adds of one row in all products of a step.
    inputs : callable
        Makes the data for so many rows, from a generator.
    outputs : int
        1: mean squared error; more: cross-entropy of labels.
    frozen : tuple of str
        Patterns of the names of what is not trained.
    """

    name: str
    batch: int
    layers: Callable[[], list[Layer]]
    other: Callable[[], list[Layer]]
    torch: Callable[[Any], Any]
    products: int
    inputs: Callable[[np.random.Generator, int], Any]
    outputs: int = 10
    frozen: tuple[str, ...] = field(default=())


def _numbers(columns: int) -> Callable[[np.random.Generator, int], Any]:
    return lambda rng, rows: rng.standard_normal((rows, columns)).astype(np.float32)


def _normed(norm: Callable[[], Layer]) -> Callable[[], list[Layer]]:
    def made() -> list[Layer]:
        hidden: list[Layer] = []
        for n_in in (64, 128):
            hidden += [schuss.Dense(n_in, 128), norm(), schuss.Activation("relu")]
        return [*hidden, schuss.Dense(10)]

    return made


def _plain() -> list[Layer]:
    return [schuss.Dense(64, 128, "relu"), schuss.Dense(128, "relu"), schuss.Dense(10)]


def _normed_torch(name: str) -> Callable[[Any], Any]:
    def made(torch: Any) -> Any:
        nn = torch.nn
        norm = getattr(nn, name)
        hidden = [nn.Linear(64, 128), norm(128), nn.ReLU(), nn.Linear(128, 128), norm(128), nn.ReLU()]
        return nn.Sequential(*hidden, nn.Linear(128, 10))

    return made


def _coded() -> list[Layer]:
    return [schuss.Input("codes", 10, dtype="int64"), schuss.Embedding(1000, 8), *_tail()]


def _coded_by_column() -> list[Layer]:
    tables = [[schuss.Input(f"column {k}", 1, dtype="int64"), schuss.Embedding(1000, 8)] for k in range(10)]
    return [schuss.Concatenate(tables), *_tail()]


def _tail() -> list[Layer]:
    return [schuss.Dense(256, "relu"), schuss.Dense(256, "relu"), schuss.Dense(1)]


def _uncoded() -> list[Layer]:
    return [schuss.Input("numbers", 80), *_tail()]


def _coded_torch(torch: Any) -> Any:
    nn = torch.nn
    tail = [nn.Linear(80, 256), nn.ReLU(), nn.Linear(256, 256), nn.ReLU(), nn.Linear(256, 1)]
    return nn.Sequential(nn.Embedding(1000, 8), nn.Flatten(), *tail)


def _coded_by_column_torch(torch: Any) -> Any:
    nn = torch.nn

    class Model(nn.Module):  # type: ignore[misc, name-defined]
        def __init__(self) -> None:
            super().__init__()
            self.tables = nn.ModuleList(nn.Embedding(1000, 8) for _ in range(10))
            tail = [nn.Linear(80, 256), nn.ReLU(), nn.Linear(256, 256), nn.ReLU(), nn.Linear(256, 1)]
            self.tail = nn.Sequential(*tail)

        def forward(self, *columns: Any) -> Any:
            return self.tail(torch.cat([table(c[:, 0]) for table, c in zip(self.tables, columns, strict=True)], 1))

    return Model()


def _codes(rng: np.random.Generator, rows: int) -> Any:
    return rng.integers(0, 1000, (rows, 10))


def _codes_by_column(rng: np.random.Generator, rows: int) -> Any:
    return tuple(rng.integers(0, 1000, (rows, 1)) for _ in range(10))


def _table(parametrization: str) -> list[Layer]:
    """What a table of 9 numbers gets: waves, scales, three hidden layers."""
    waves = [schuss.Input("x", 9), schuss.Periodic(16, 0.1), schuss.GroupedDense(9, 16, 3)]
    hidden: list[Layer] = [schuss.Dense(256, "mish", parametrization=parametrization) for _ in range(3)]
    both = schuss.Concatenate([[schuss.Input("x", 9)], waves])
    return [both, schuss.Scale(), *hidden, schuss.Dense(1, parametrization=parametrization)]


def _scaled_table() -> list[Layer]:
    return _table("ntp")


def _plain_table() -> list[Layer]:
    return [schuss.Dense(36, 256, "mish"), *[schuss.Dense(256, "mish") for _ in range(2)], schuss.Dense(1)]


def _table_torch(torch: Any) -> Any:
    nn = torch.nn

    class Model(nn.Module):  # type: ignore[misc, name-defined]
        def __init__(self) -> None:
            super().__init__()
            self.frequencies = nn.Parameter(0.1 * torch.randn(9, 16))
            self.phases = nn.Parameter(torch.rand(9, 16))
            self.maps = nn.Parameter(0.25 * torch.randn(9, 16, 3))
            self.shifts = nn.Parameter(torch.zeros(9, 1, 3))
            self.scale = nn.Parameter(torch.ones(36))
            sizes = ((36, 256), (256, 256), (256, 256), (256, 1))
            self.weights = nn.ParameterList([torch.randn(*size) for size in sizes])
            self.biases = nn.ParameterList([torch.zeros(n_out) for _, n_out in sizes])

        def forward(self, x: Any) -> Any:
            waves = torch.cos(2 * torch.pi * x[:, :, None] * self.frequencies + self.phases)
            mapped = torch.baddbmm(self.shifts, waves.transpose(0, 1), self.maps).transpose(0, 1).flatten(1)
            z = torch.cat([x, mapped], 1) * self.scale
            for k, (weight, bias) in enumerate(zip(self.weights, self.biases, strict=True)):
                z = z @ weight / len(weight) ** 0.5 + bias
                z = nn.functional.mish(z) if k < 3 else z
            return z

    return Model()


def _square(last: str) -> Layer:
    return schuss.Dense(256, 256, last)


def _residual() -> list[Layer]:
    block = [_square("relu"), _square("identity")]
    return [schuss.Residual(block), schuss.Residual(block), schuss.Dense(10)]


def _chain() -> list[Layer]:
    return [_square("relu"), _square("identity"), _square("relu"), _square("identity"), schuss.Dense(10)]


def _residual_torch(torch: Any) -> Any:
    nn = torch.nn

    class Block(nn.Module):  # type: ignore[misc, name-defined]
        def __init__(self) -> None:
            super().__init__()
            self.body = nn.Sequential(nn.Linear(256, 256), nn.ReLU(), nn.Linear(256, 256))

        def forward(self, x: Any) -> Any:
            return x + self.body(x)

    return nn.Sequential(Block(), Block(), nn.Linear(256, 10))


def _wide() -> list[Layer]:
    return [schuss.Dense(784, 512, "relu"), schuss.Dense(512, "relu"), schuss.Dense(10)]


def _wide_torch(torch: Any) -> Any:
    nn = torch.nn
    model = nn.Sequential(nn.Linear(784, 512), nn.ReLU(), nn.Linear(512, 512), nn.ReLU(), nn.Linear(512, 10))
    for parameter in model[0].parameters():
        parameter.requires_grad_(False)
    return model


_NORM_PRODUCTS = 3 * (64 * 128 + 128 * 128 + 128 * 10) - 64 * 128
_TABLE_PRODUCTS = 3 * (36 * 256 + 2 * 256 * 256 + 256 + 9 * 16 * 3)
_CODE_PRODUCTS = 3 * (80 * 256 + 256 * 256 + 256)
CASES = (
    *(
        Case(f"64-128-128-10, {name}", batch, _normed(kind), _plain, _normed_torch(torch), _NORM_PRODUCTS, _numbers(64))
        for name, kind, torch in (
            ("BatchNorm", schuss.BatchNorm, "BatchNorm1d"),
            ("LayerNorm", schuss.LayerNorm, "LayerNorm"),
        )
        for batch in (32, 256)
    ),
    Case("10 codes x 8, 256-256-1", 256, _coded, _uncoded, _coded_torch, _CODE_PRODUCTS, _codes, 1),
    Case(
        "the same, a table a column",
        256,
        _coded_by_column,
        _uncoded,
        _coded_by_column_torch,
        _CODE_PRODUCTS,
        _codes_by_column,
        1,
    ),
    Case(
        "9 numbers x 4, 256-256-256-1, ntp",
        256,
        _scaled_table,
        _plain_table,
        _table_torch,
        _TABLE_PRODUCTS,
        _numbers(9),
        1,
    ),
    Case(
        "2 residuals of 256-256",
        128,
        _residual,
        _chain,
        _residual_torch,
        3 * (4 * 256 * 256 + 256 * 10) - 256 * 256,
        _numbers(256),
    ),
    Case(
        "784-512-512-10, lower half frozen",
        128,
        _wide,
        _wide,
        _wide_torch,
        784 * 512 + 2 * 512 * 512 + 3 * 512 * 10,
        _numbers(784),
        frozen=("layers.0.*",),
    ),
)


def _ours(name: str, layers: list[Layer], case: Case, x: Any, y: Any, frozen: tuple[str, ...]) -> Contender:
    net = schuss.Network(layers, seed=0)
    optimizer = schuss.Adam(net.parameter_groups({pattern: {"frozen": True} for pattern in frozen}), lr=1e-4)
    loss = "mse" if case.outputs == 1 else "cross_entropy"

    def run(calls: int) -> None:
        net.fit(x, y, loss=loss, optimizer=optimizer, epochs=calls, batch_size=case.batch, restore_on_divergence=False)

    return Contender(name, run, unit=STEPS)


def _torch(case: Case, x: Any, y: Any) -> Contender | None:
    torch = peers.module("torch")
    if torch is None:
        return None
    model = case.torch(torch)
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    optimizer = torch.optim.Adam(trained, lr=1e-4, fused=True)
    inputs = [torch.from_numpy(part) for part in (x if isinstance(x, tuple) else (x,))]
    target = torch.from_numpy(y)
    loss = torch.nn.functional.mse_loss if case.outputs == 1 else torch.nn.functional.cross_entropy

    def run(calls: int) -> None:
        for step in range(calls):
            rows = slice(step % STEPS * case.batch, (step % STEPS + 1) * case.batch)
            optimizer.zero_grad()
            loss(model(*[part[rows] for part in inputs]), target[rows]).backward()
            optimizer.step()

    return Contender("torch", run)


def measure(options: Any, threads: int, limits: Limits) -> list[Result]:
    result = Result("Layers", baselines=["torch", "without"])
    for case in CASES:
        peers.note(f"layers {case.name}, {case.batch}, threads {threads}")
        rng = np.random.default_rng(0)
        rows = case.batch * STEPS
        x = case.inputs(rng, rows)
        if case.outputs == 1:
            y: Any = rng.standard_normal((rows, 1)).astype(np.float32)
        else:
            y = rng.integers(0, case.outputs, rows)
        columns = {_uncoded: 80, _plain_table: 36}.get(case.other)
        plain = x if columns is None else rng.standard_normal((rows, columns)).astype(np.float32)
        contenders = [
            _ours("ours", case.layers(), case, x, y, case.frozen),
            _ours("without", case.other(), case, plain, y, ()),
        ]
        contenders += [made for made in [_torch(case, x, y)] if made is not None]
        times = alternate(contenders, 0.5 if options.quick else 3.0, rounds=25)
        label = {"network": case.name, "batch": str(case.batch)}
        limit = limits.arithmetic(2 * case.batch * case.products)
        result.rows.append(row(label, threads, ["ours"], times, limit, None, aside=["without"]))
    result.notes = [
        "Training steps in fit, float32, Adam, ours and torch's (eager, fused=True). without: our own network without "
        "the layers in question: without norms; with 80 numbers in place of the codes' vectors, and 36 in place of "
        "embedded ones; without the sums; with nothing frozen.",
        ARITHMETIC_NOTE,
        *limits.seen(),
    ]
    return [result]
