"""After an epoch, the loss and the metrics of validation rows come from one pass, with the bits of two."""

import numpy as np
import pytest

import schuss

CASES = {
    "logits": ([schuss.Dense(7, 40, "mish"), schuss.Dense(3)], "cross_entropy", ["error", "log_loss"]),
    "softmax": ([schuss.Dense(7, 40, "relu"), schuss.Dense(3, "softmax")], "cross_entropy", ["error"]),
    "sigmoid": ([schuss.Dense(7, 40), schuss.Dense(1, "sigmoid")], "binary_cross_entropy", ["error"]),
    "numbers": ([schuss.Dense(7, 40, "tanh"), schuss.BatchNorm(), schuss.Dense(2)], "mse", ["rmse", "r2"]),
}


@pytest.mark.parametrize("rows", [1, 3000])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("case", CASES)
def test_one_pass_gives_the_bits_of_two(case, weighted, rows):
    layers, loss, metrics = CASES[case]
    net = schuss.Network(layers, seed=1)
    rng = np.random.default_rng(rows)
    X = rng.normal(size=(rows, 7)).astype(np.float32)
    y = {"mse": rng.normal(size=(rows, 2)), "cross_entropy": rng.integers(0, 3, rows)}.get(loss, rng.random((rows, 1)))
    weights = rng.random(rows) if weighted else None
    found = net.evaluate(X, y, loss=loss, metrics=metrics, sample_weight=weights)
    assert found["loss"] == net.evaluate(X, y, loss=loss, sample_weight=weights)["loss"]
    seen = []

    def looks(prediction, target):
        seen.append(prediction)
        return 0.0

    net.evaluate(X, y, loss=loss, metrics=looks, sample_weight=weights)
    np.testing.assert_array_equal(seen[0], net.predict(X))


def test_metrics_of_training_rows_may_be_left_out():
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(50, 7)), rng.integers(0, 3, 50)
    options = {"loss": "cross_entropy", "epochs": 2, "metrics": ["error"], "validation_fraction": 0.2}
    nets = [schuss.Network([schuss.Dense(7, 8, "relu"), schuss.Dense(3)], seed=1) for _ in range(2)]
    both = nets[0].fit(X, y, **options)
    less = nets[1].fit(
        X, y, training_metrics=False, early_stopping=schuss.EarlyStopping(monitor="val_error"), **options
    )
    np.testing.assert_array_equal(less["val_error"], both["val_error"])
    with pytest.raises(KeyError):
        less["error"]
    with pytest.raises(TypeError, match="training_metrics must be True or False"):
        nets[0].fit(X, y, training_metrics=None, **options)
