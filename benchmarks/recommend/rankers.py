"""Who trains rankers, an epoch at a time: ours, LightFM, implicit; and steps of batches beside torch."""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np

from .. import peers
from ..limits import Limits
from ..native import compiled_by_any
from ..tables import Row, row
from ..timing import Contender, alternate, fastest

LOSSES = ("bpr", "warp")
BATCH = 256
BARE = "bare"


def ours(train: Any, loss: str, threads: int, batch_size: int | None = None, **options: Any) -> Contender:
    """Epochs of `fit_partial`; with a batch size, of steps that move all rows of a batch at once."""
    from schuss.recommend import PairwiseRanker

    name = "ours" if batch_size is None else "ours: batches"
    model = PairwiseRanker(loss=loss, random_state=0, batch_size=batch_size, **options)

    def run(calls: int) -> None:
        model.fit_partial(train, epochs=calls, num_threads=threads)

    return Contender(name, run, quiet=True)


def lightfm(train: Any, loss: str, threads: int) -> Contender | None:
    module = peers.module("lightfm")
    if module is None:
        return None
    model = module.LightFM(loss=loss, random_state=0)
    coo = train.tocoo()

    def run(calls: int) -> None:
        model.fit_partial(coo, epochs=calls, num_threads=threads)

    return Contender("LightFM", run)


def implicit(train: Any, loss: str, threads: int) -> Contender | None:
    """BPR with as many factors, by plain SGD."""
    module = peers.module("implicit.bpr")
    if module is None or loss != "bpr":
        return None
    model = module.BayesianPersonalizedRanking(factors=10, num_threads=threads, random_state=0)
    csr = train.tocsr()

    def run(calls: int) -> None:
        model.iterations = calls
        model.fit(csr, show_progress=False)

    return Contender("implicit", run)


def epochs(train: Any, data: str, options: Any, threads: int) -> list[Row]:
    """A row for each loss."""
    found = []
    for loss in LOSSES:
        peers.note(f"recommend: an epoch of {loss}, threads {threads}")
        makers: list[Callable[[], Contender | None]] = [
            lambda loss=loss: ours(train, loss, threads),  # type: ignore[misc]
            lambda loss=loss: ours(train, loss, threads, BATCH),  # type: ignore[misc]
            lambda loss=loss: lightfm(train, loss, threads),  # type: ignore[misc]
            lambda loss=loss: implicit(train, loss, threads),  # type: ignore[misc]
        ]
        times = alternate(peers.built(makers), 1.0 if options.quick else 8.0)
        mine = [name for name in times if name.startswith("ours")]
        found.append(row({"data": data, "loss": loss}, threads, mine, times, None, None, aside=["implicit"]))
    return found


@dataclass(frozen=True)
class Steps:
    """Batches of BPR with AdaGrad: tables of users and of items, each of so many rows."""

    rows: int
    dim: int
    batch: int
    count: int = 400

    @property
    def label(self) -> dict[str, str]:
        return {"rows": f"2 x {self.rows}", "dim": str(self.dim), "batch": str(self.batch)}

    @property
    def moved(self) -> int:
        """Bytes of a step at least: three rows a sample, each with its sums, read and written."""
        return self.batch * 3 * self.dim * 2 * 2 * 4

    @property
    def touched(self) -> int:
        """Bytes of both tables and their sums."""
        return 2 * self.rows * self.dim * 2 * 4

    def samples(self) -> tuple[Any, Any]:
        """Different pairs, drawn evenly: no row stays in cache because it is popular."""
        rng = np.random.default_rng(0)
        pairs = np.unique(rng.integers(0, self.rows**2, 2 * self.batch * self.count))
        pairs = rng.permutation(pairs)[: self.batch * self.count]
        return pairs // self.rows, pairs % self.rows

    def contenders(self, threads: int) -> list[Contender]:
        return peers.built([self.ours, self.torch, self.bare], threads)

    def bare(self, threads: int) -> Contender | None:
        """The rows of a sample, each with its sums behind it, read and written by a loop on one thread."""
        loop = _loop()
        if loop is None or threads > 1:
            return None
        users, items = self.samples()
        others = np.random.default_rng(1).integers(0, self.rows, len(users))
        index = np.stack([users, self.rows + items, self.rows + others], axis=1).astype(np.intp)
        table = np.zeros((2 * self.rows, 2 * self.dim), np.float32)

        def ahead(rows: int) -> Contender:
            def run(calls: int) -> None:
                for _ in range(calls):
                    loop(table.ctypes.data, 2 * self.dim, index.ctypes.data, index.size, rows, 1.0)

            return Contender(str(rows), run, unit=self.count, quiet=True)

        (best,) = fastest([ahead(rows) for rows in (0, 6, 24)], 1)
        return Contender(BARE, best.run, unit=self.count, quiet=True)

    def ours(self, threads: int) -> Contender:
        from scipy.sparse import csr_matrix

        users, items = self.samples()
        train = csr_matrix((np.ones(len(users), np.float32), (users, items)), shape=(self.rows, self.rows))
        made = ours(train, "bpr", threads, self.batch, no_components=self.dim)
        return Contender("ours", made.run, unit=self.count, quiet=True)

    def torch(self, threads: int) -> Contender | None:
        torch = peers.module("torch")
        if torch is None:
            return None
        users, items = (torch.from_numpy(codes) for codes in self.samples())
        own, other = (torch.nn.Embedding(self.rows, self.dim, sparse=True) for _ in range(2))
        optimizer = torch.optim.Adagrad([own.weight, other.weight], lr=0.05, initial_accumulator_value=1.0)

        def run(calls: int) -> None:
            for step in range(calls):
                place = slice(step % self.count * self.batch, (step % self.count + 1) * self.batch)
                user, item = users[place], items[place]
                negative = torch.randint(self.rows, (self.batch,))
                optimizer.zero_grad()
                above = (own(user) * (other(item) - other(negative))).sum(1)
                (-torch.nn.functional.logsigmoid(above)).mean().backward()
                optimizer.step()

        return Contender("torch", run)

    def measured(self, options: Any, threads: int, limits: Limits) -> Row:
        peers.note(f"recommend: steps of {self}, threads {threads}")
        limit = limits.both(0, self.touched, self.moved)
        times = alternate(self.contenders(threads), 1.0 if options.quick else 6.0)
        found = row(self.label, threads, ["ours"], times, limit, None)
        found.bare, found.moved = (BARE if BARE in times else None), self.moved
        return found


@cache
def _loop() -> Any:
    """`touch_rows` of rows.c, or None where no C compiler makes it."""
    library = compiled_by_any("rows.c", "-O3")
    if library is None:
        return None
    long = ctypes.c_ssize_t
    library.touch_rows.argtypes = [ctypes.c_void_p, long, ctypes.c_void_p, long, long, ctypes.c_float]
    library.touch_rows.restype = None
    return library.touch_rows


STEPS = (Steps(10_000, 32, 256), Steps(100_000, 64, 1024))
