"""`fit(drop_last=True)`: an epoch takes whole batches only, of rows in the very order of other epochs."""

import numpy as np
import pytest

import schuss
from schuss import _core


def data(rows, weighted=False):
    rng = np.random.default_rng(rows)
    X, y = rng.normal(size=(rows, 3)).astype(np.float32), rng.integers(0, 3, rows)
    return X, y, rng.random(rows) + 0.1 if weighted else None


def network():
    return schuss.Network([schuss.Dense(3, 8, "tanh", dropout=0.2), schuss.Dense(3)], seed=4)


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("shuffle", [True, False])
@pytest.mark.parametrize(("rows", "batch"), [(23, 5), (20, 5), (4, 5), (9, 5), (5, None)])
def test_its_steps_are_those_of_whole_batches(rows, batch, shuffle, weighted):
    X, y, weights = data(rows, weighted)
    net, twin = network(), network()
    options = {"loss": "cross_entropy", "batch_size": batch, "shuffle": shuffle, "sample_weight": weights, "epochs": 3}
    history = net.fit(X, y, optimizer=schuss.Adam(net.parameters, lr=0.01), drop_last=True, **options)
    optimizer = schuss.Adam(twin.parameters, lr=0.01)
    size = min(batch or rows, rows)
    losses = []
    for epoch in range(3):
        order = _core.permutation(rows, 4, epoch) if shuffle and size < rows else np.arange(rows)
        steps, total = [], []
        for k in range(0, rows - rows % size, size):
            taken = order[k : k + size]
            weight = None if weights is None else weights[taken]
            steps.append(
                twin.train_step(X[taken], y[taken], loss="cross_entropy", optimizer=optimizer, sample_weight=weight)
            )
            total.append(size if weight is None else weight.sum())
        losses.append(np.average(steps, weights=total))
    assert optimizer.steps == net.optimizer.steps == 3 * (rows // size)
    for mine, wanted in zip(net.parameters, twin.parameters, strict=True):
        np.testing.assert_array_equal(mine, wanted)
    np.testing.assert_allclose(history["loss"], losses, rtol=1e-6)


def test_a_loss_of_ones_own_sees_whole_batches():
    X, y, _ = data(23)
    seen = []

    def loss(prediction, target):
        seen.append(len(target))
        return float(np.mean(prediction**2)), (2 * prediction / prediction.size).astype(prediction.dtype)

    network().fit(X, y, loss=loss, batch_size=5, epochs=2, drop_last=True, optimizer="sgd")
    assert seen == [5] * 8


def test_it_is_a_flag():
    X, y, _ = data(7)
    with pytest.raises(TypeError, match="drop_last must be True or False"):
        network().fit(X, y, loss="cross_entropy", drop_last=1)
