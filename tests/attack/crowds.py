"""Several Python threads at once in the same objects: each call is made or refused, none writes beside its arrays."""

from __future__ import annotations

import threading
from typing import Any

import numpy as np
from hypothesis import strategies as st

import schuss

from .calls import attempt
from .guarded import begin, check_canaries, guarded

SHAPES = [(300, 200), (40, 30), (7,)]  # one that is worth giving the GIL away for


def crowds(data: Any) -> None:
    """What the threads find when is not fixed; what they call is."""
    draw = data.draw
    begin()
    rng = np.random.default_rng(draw(st.integers(0, 1000)))
    params = [guarded(rng.normal(size=shape), "f4") for shape in SHAPES]
    grads = [guarded(rng.normal(size=shape), "f4") for shape in SHAPES]
    name = draw(st.sampled_from(["adam", "sgd", "adamw", "lamb", "soap", "adafactor"]))
    optimizer = schuss.EMA(schuss.optim.BY_NAME[name](params), 0.5)
    network = schuss.Network([schuss.Dense(64, 128, "relu"), schuss.Dense(128, 3)], seed=0)
    X, y = guarded(rng.normal(size=(300, 64)), "f4"), guarded(rng.integers(0, 3, 300), np.int64)
    trainer = schuss.Adam(network.parameters)
    inner = optimizer.optimizer
    calls = {
        "step": lambda: optimizer.step(grads),
        "step and zero": lambda: optimizer.step(grads, zero_grad=True, clip_norm=1.0),
        "write": lambda: params[0].fill(0.5),
        "lr": lambda: inner.param_groups[0].update(lr=1e-4),
        "state": lambda: optimizer.load_state_dict(optimizer.state_dict()),
        "fit": lambda: network.fit(X, y, loss="cross_entropy", optimizer=trainer, epochs=1),
        "train": lambda: network.train_step(X, y, "cross_entropy", trainer),
        "predict": lambda: network.predict(X),
        "passes": lambda: (network.forward(X), network.backward(np.zeros((300, 3), np.float32))),
        "labels": lambda: y.__setitem__(slice(0, 9), 2**40),
        "labels again": lambda: y.__setitem__(slice(0, 300), 1),
        "threads": lambda: schuss.set_num_threads(7),
        "threads again": lambda: schuss.set_num_threads(1),
    }
    plans = [draw(st.lists(st.sampled_from(sorted(calls)), min_size=3, max_size=12)) for _ in range(3)]
    failed: list[BaseException] = []

    def work(plan: list[str]) -> None:
        try:
            for what in plan:
                attempt(f"crowd, {what}", calls[what])
        except BaseException as error:
            failed.append(error)

    workers = [threading.Thread(target=work, args=(plan,)) for plan in plans]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    schuss.set_num_threads(None)
    check_canaries()
    if failed:
        raise failed[0]
