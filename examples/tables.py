"""Rents of flats from a file as people keep it: text, dates, gaps, decimal commas. What is read, learned and wrong."""

import io
import sys

import numpy as np
import pandas as pd
from sklearn.metrics import mean_absolute_error, r2_score
from sklearn.model_selection import train_test_split

from schuss.sklearn import TabularRegressor

DISTRICTS = {"Altstadt": 5.0, "Hafen": 3.0, "Nordend": 1.0, "Weststadt": 0.0, "Sandberg": -2.0}


def offers(rows, seed=0):
    """A file of made-up offers, and the rents without the noise of each offer."""
    draw = np.random.default_rng(seed)
    size = draw.gamma(9.0, 8.0, rows).round(1) + 15
    built = draw.integers(1890, 2024, rows)
    district = draw.choice(list(DISTRICTS), rows)
    balcony = draw.choice(["ja", "nein", ""], rows, p=[0.5, 0.4, 0.1])
    broker = draw.choice([f"Makler {k}" for k in range(30)], rows)
    day = pd.Timestamp("2021-01-01") + pd.to_timedelta(draw.integers(0, 1460, rows), unit="D")
    per_metre = 9 + np.array([DISTRICTS[name] for name in district]) + 25 / np.sqrt(size)
    per_metre += 1.5 * (balcony == "ja") + 2.0 * np.abs((built - 1960) / 60) + 0.9 * (day - day.min()).days / 365
    rent = size * per_metre
    noisy = rent * np.exp(draw.normal(0, 0.05, rows))

    def german(number, digits):
        return f"{number:,.{digits}f}".translate(str.maketrans(",.", ".,"))

    file = io.StringIO()
    frame = pd.DataFrame({
        "Fläche": np.where(draw.random(rows) > 0.03, [german(value, 1) for value in size], "k.A."),
        "Baujahr": built,
        "Stadtteil": district,
        "Balkon": balcony,
        "Makler": broker,
        "Angebot vom": day.strftime("%d.%m.%Y"),
        "Miete": [f"{german(value, 2)} €" for value in noisy],
    })  # fmt: skip
    frame.to_csv(file, sep=";", index=False)
    file.seek(0)
    return file, rent, noisy


def main(picture=None):
    file, rent, y = offers(4000)
    # All cells as they are written: what they are, the estimator finds out and keeps.
    X = pd.read_csv(file, sep=";", dtype=str, keep_default_na=False).drop(columns="Miete")
    X, X_test, y, y_test, _, true_test = train_test_split(X, y, rent, random_state=0)
    model = TabularRegressor(epochs=96, n_ensemble=2, random_state=0).fit(X, y)
    for note in model.notes_:
        print(note)
    predicted = model.predict(X_test)
    error, least = mean_absolute_error(y_test, predicted), mean_absolute_error(y_test, true_test)
    constant = mean_absolute_error(y_test, np.full(len(y_test), np.median(y)))
    print(f"{len(y)} offers trained, {len(y_test)} tested: R2 {r2_score(y_test, predicted):.3f}")
    print(f"mean error {error:.1f} €; a constant's {constant:.1f} €, what noise leaves {least:.1f} €")
    importance = model.permutation_importance(X_test, y_test, n_repeats=5, random_state=0)
    for place in np.argsort(-importance.importances_mean):
        lost = importance.importances[place]
        print(f"without {importance.feature_names[place]:<12} R2 falls by {lost.mean():.3f} ± {lost.std():.3f}")
    if picture:
        plot(model, X_test, y_test, predicted, importance, picture)


def plot(model, X_test, y_test, predicted, importance, picture):
    """How it trained, how good it is, what it looks at, and what it has learned of one column."""
    import matplotlib.pyplot as plt

    figure, ((training, fit), (columns, metres)) = plt.subplots(2, 2, figsize=(10, 8), layout="constrained")
    for number, history in enumerate(model.histories_, 1):
        training.plot(history["val_rmse"], label=f"network {number}, rows held out")
    training.set(yscale="log", xlabel="epoch", ylabel="RMSE in standard deviations", title="Four waves of the rate")
    training.legend()
    ends = [y_test.min(), y_test.max()]
    fit.plot(ends, ends, color="gray", lw=1)
    fit.scatter(predicted, y_test, s=4)
    fit.set(xlabel="predicted rent in €", ylabel="rent in €", title="Offers that were not trained on")
    order = np.argsort(importance.importances_mean)
    lost = importance.importances_mean[order]
    columns.barh(importance.feature_names[order], lost, xerr=importance.importances_std[order])
    columns.set(xlabel="R2 that is lost", title="If a column's values are dealt anew")
    sizes = np.linspace(45, 125, 60)
    for district, extra in DISTRICTS.items():
        frame = pd.DataFrame({"Fläche": [f"{size:.1f}".replace(".", ",") for size in sizes], "Stadtteil": district})
        frame = frame.assign(**{"Baujahr": "1990", "Balkon": "ja", "Makler": "Makler 3", "Angebot vom": "1.7.2023"})
        frame = frame[X_test.columns]
        (line,) = metres.plot(sizes, model.predict(frame) / sizes, label=district)
        truth = 9 + extra + 25 / np.sqrt(sizes) + 1.5 + 1.0 + 0.9 * 911 / 365
        metres.plot(sizes, truth, color=line.get_color(), lw=0.8, ls=":")
    metres.set(xlabel="size in m²", ylabel="€ a m²", title="What it has learned; dotted: the truth")
    metres.legend(fontsize=8)
    figure.savefig(picture, dpi=110)
    print(f"wrote {picture}")


if __name__ == "__main__":
    main(*sys.argv[1:])
