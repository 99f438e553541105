"""A Gaussian process whose kernel is fitted by the gradient of its marginal likelihood. Give a file to draw it into."""

import sys

import numpy as np

import schuss


def kernel(theta, x, at):
    """Covariance amplitude^2 exp(-d^2 / 2) of places d lengths apart, and d^2; theta: log(amplitude, length, noise)."""
    amplitude, length, _ = np.exp(theta)
    squares = ((at[:, None] - x) / length) ** 2
    return amplitude**2 * np.exp(-squares / 2), squares


def loss_and_gradient(theta, x, y):
    """Negative log marginal likelihood, and its gradient by theta.

    With K = kernel + noise^2 I and a = K^-1 y, the derivative by theta_j is sum((K^-1 - a a') * dK/dtheta_j) / 2.
    """
    smooth, squares = kernel(theta, x, x)
    noise = np.exp(2 * theta[2])
    K = smooth + noise * np.eye(len(x))
    inverse = np.linalg.inv(K)
    a = inverse @ y
    loss = (y @ a + np.linalg.slogdet(K)[1] + len(x) * np.log(2 * np.pi)) / 2
    outer = inverse - np.outer(a, a)
    return loss, np.array([np.sum(outer * smooth), np.sum(outer * smooth * squares) / 2, noise * np.trace(outer)])


def main(picture=None):
    rng = np.random.default_rng(0)
    x = np.sort(rng.uniform(0, 10, 80))
    y = np.sin(x) + 0.5 * np.sin(2.7 * x) + 0.2 * rng.normal(size=80)

    theta = np.zeros(3)
    opt = schuss.LBFGS(theta, max_iter=50, line_search_fn="strong_wolfe")
    opt.step(lambda: loss_and_gradient(theta, x, y))  # exact gradients: a few dozen do
    loss, gradient = loss_and_gradient(theta, x, y)
    print(f"negative log likelihood {loss:.2f}, largest derivative {np.abs(gradient).max():.1e}")
    print("amplitude {:.2f}, length {:.2f}, noise {:.3f} where 0.2 was put in".format(*np.exp(theta)))

    at = np.linspace(0, 10, 401)
    mean = kernel(theta, x, at)[0] @ np.linalg.solve(kernel(theta, x, x)[0] + np.exp(2 * theta[2]) * np.eye(80), y)
    print(f"error of the mean {np.sqrt(np.mean((mean - np.sin(at) - 0.5 * np.sin(2.7 * at)) ** 2)):.3f}")
    if picture:
        from matplotlib import pyplot as plt

        plt.plot(at, mean)
        plt.plot(x, y, "k.")
        plt.savefig(picture)


if __name__ == "__main__":
    main(*sys.argv[1:])
