"""The loss of each batch, which callbacks get."""

import numpy as np
import pytest

import schuss
from schuss.training import EpochRecord

RNG = np.random.default_rng(0)
X = RNG.normal(size=(70, 4)).astype(np.float32)
Y = RNG.normal(size=70).astype(np.float32)


def network() -> schuss.Network:
    return schuss.Network([schuss.Dense(4, 5, "relu"), schuss.Dense(1)], seed=1)


def losses_of(**arguments) -> list[np.ndarray]:
    found: list[np.ndarray] = []

    def callback(record: EpochRecord) -> None:
        found.append(record.batch_losses)

    network().fit(X, Y, epochs=3, batch_size=16, shuffle=False, callbacks=[callback], **arguments)
    return found


def half_square(prediction, target):
    """Half of the mean square."""
    off = prediction - target.reshape(prediction.shape)
    return float(np.mean(off.astype(np.float64) ** 2) / 2), off / len(off)


@pytest.mark.parametrize("threads", [1, 2])
def test_batch_losses_are_those_of_single_steps(threads):
    with schuss.threads(threads):
        found = losses_of(loss="mse", optimizer="adam")
    net = network()
    optimizer = schuss.Adam(net.parameters)
    for losses in found:
        expected = [net.train_step(X[k : k + 16], Y[k : k + 16], "mse", optimizer) for k in range(0, 70, 16)]
        np.testing.assert_array_equal(losses, expected)


def test_batch_losses_of_an_own_loss():
    found = losses_of(loss=half_square, optimizer="sgd")
    assert [len(losses) for losses in found] == [5, 5, 5]
    np.testing.assert_allclose(found[0][0], half_square(network().predict(X[:16]), Y[:16, None])[0], rtol=1e-6)


def test_a_last_batch_that_is_left_out_has_no_loss():
    assert [len(losses) for losses in losses_of(loss="mse", drop_last=True)] == [4, 4, 4]
