"""A simulator fitted by the adjoint of its steps: influenza in a school in 1978, SIR. Give a file to draw it into."""

import sys

import numpy as np

import schuss

PUPILS, DAY = 763, 20  # time steps of Euler's method in a day
IN_BED = np.array([3, 8, 26, 76, 225, 298, 258, 233, 189, 128, 68, 29, 14, 4])  # British Medical Journal, 4 March 1978


def simulate(theta):
    """The susceptible and the ill at every time step; theta = log(infections a day, recoveries a day, ill at first)."""
    beta, gamma, ill = np.exp(theta).tolist()
    path = [(PUPILS - ill, ill)]
    for _ in range(DAY * (len(IN_BED) - 1)):
        well, ill = path[-1]
        new = beta * well * ill / PUPILS
        path.append((well - new / DAY, ill + (new - gamma * ill) / DAY))
    return path


def loss_and_gradient(theta):
    """Mean square of sqrt(ill) - sqrt(in bed), and its gradient: what each time step adds to it, walking backwards."""
    (beta, gamma, first), path = np.exp(theta).tolist(), simulate(theta)
    root = np.sqrt([ill for _, ill in path[::DAY]])
    off = root - np.sqrt(IN_BED)
    of_days = (off / root / len(off)).tolist()
    of_beta = of_gamma = of_well = 0.0  # derivatives of the loss by these, here and below
    of_ill = of_days.pop()
    for step in range(len(path) - 2, -1, -1):
        well, ill = path[step]
        of_new = (of_ill - of_well) / DAY
        of_beta += of_new * well * ill / PUPILS
        of_gamma -= of_ill * ill / DAY
        of_well += of_new * beta * ill / PUPILS
        of_ill += of_new * beta * well / PUPILS - of_ill * gamma / DAY + (of_days.pop() if step % DAY == 0 else 0.0)
    return np.mean(off**2), np.array([of_beta * beta, of_gamma * gamma, (of_ill - of_well) * first])


def main(picture=None):
    theta = np.log([1.0, 0.3, 1.0])
    opt = schuss.Adam(theta, lr=schuss.schedules.Cosine(0.1, 200))
    for _ in range(200):
        opt.step(loss_and_gradient(theta)[1], clip_norm=1.0)  # far from the data it is steep
    beta, gamma, first = np.exp(theta)
    print(f"loss {loss_and_gradient(theta)[0]:.3f}: {beta:.2f} infections and {gamma:.2f} recoveries a day,")
    print(f"each of the ill infects {beta / gamma:.1f} others at first; {first:.1f} were ill on the first day")
    if picture:
        from matplotlib import pyplot as plt

        plt.plot([ill for _, ill in simulate(theta)])
        plt.plot(np.arange(len(IN_BED)) * DAY, IN_BED, "k.")
        plt.savefig(picture)


if __name__ == "__main__":
    main(*sys.argv[1:])
