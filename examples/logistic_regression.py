"""Logistic regression with a gradient derived by hand: scikit-learn's breast_cancer in batches of 32."""

import numpy as np
from sklearn.datasets import load_breast_cancer

import schuss


def loss_and_gradients(model, X, y):
    """Mean cross-entropy of labels 0 and 1, and its gradient.

    With z = X w + b the loss is the mean of log(1 + exp(z)) - y z, so its derivative by z is (sigmoid(z) - y) / rows.
    """
    z = X @ model["w"] + model["b"]
    loss = np.mean(np.logaddexp(0, z) - y * z)
    dz = (0.5 + 0.5 * np.tanh(z / 2) - y) / len(y)  # this form of the sigmoid does not overflow
    return loss, {"w": X.T @ dz, "b": dz.sum(keepdims=True)}


def main():
    X, y = load_breast_cancer(return_X_y=True)
    rng = np.random.default_rng(0)
    order = rng.permutation(len(y))
    train, test = order[:400], order[400:]
    X = (X - X[train].mean(axis=0)) / X[train].std(axis=0)

    model = {"w": np.zeros(X.shape[1]), "b": np.zeros(1)}
    # SGD adds weight_decay w to the gradient, which is that of weight_decay / 2 |w|^2; b has none.
    opt = schuss.SGD(model, lr=0.05, momentum=0.9, weight_decay=0.01, no_decay="b")
    for _ in range(30):
        for batch in np.array_split(rng.permutation(train), len(train) // 32):
            opt.step(loss_and_gradients(model, X[batch], y[batch])[1])

    for name, rows in (("training", train), ("test", test)):
        loss, _ = loss_and_gradients(model, X[rows], y[rows])
        right = np.mean((X[rows] @ model["w"] + model["b"] > 0) == y[rows])
        print(f"{name}: loss {loss:.3f}, accuracy {right:.1%} of {len(rows)}")


if __name__ == "__main__":
    main()
