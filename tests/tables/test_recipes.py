"""Recipes: whole trainings of small tables, side by side or alone, with and without limits."""

import numpy as np
import pytest

import schuss
from schuss.tables import Columns, Standardise
from schuss.tables.recipes import BY_NAME, MLP, RealMLP, RealMLPS, TabM, Task
from schuss.tables.recipes.base import fitted

CARDINALITIES = (2, 12)
SMALL = {
    "realmlp": RealMLP(epochs=12, hidden=(32, 32), batch_size=64),
    "realmlp-s": RealMLPS(epochs=12, hidden=(32, 32), batch_size=64),
    "mlp": MLP(epochs=12, hidden=(32, 32), batch_size=64, lr=0.01),
}


def table(classes, rows=500, seed=0):
    rng = np.random.default_rng(seed)
    numbers = rng.normal(size=(rows, 3))
    codes = rng.integers(1, np.array(CARDINALITIES) + 1, (rows, 2))
    score = 2 * numbers[:, 0] + (codes[:, 0] == 1) + codes[:, 1] / 6 + 0.1 * rng.normal(size=rows)
    numbers[rng.random(rows) < 0.1, 1] = np.nan
    if classes:
        return Columns(numbers, codes), np.digitize(score, np.quantile(score, [1 / 3, 2 / 3]))
    return Columns(numbers, codes), score[:, None]


def prepared(recipe, classes, seed=0, validation=True, **options):
    columns, y = table(classes)
    task = Task.of_classes(3) if classes else Task()
    if not classes:
        standard = Standardise.fit(y)
        y, task = standard.transform(y), Task(limits=tuple(float(v[0]) for v in standard.limits()))
    if validation:
        other, target = table(classes, rows=200, seed=1)
        options["validation"] = (other, target if classes else standard.transform(target))
    return recipe.prepare(columns, y, task, cardinalities=CARDINALITIES, seed=seed, **options)


@pytest.mark.parametrize("classes", [3, 0])
@pytest.mark.parametrize("name", SMALL)
def test_each_learns(name, classes):
    training = prepared(SMALL[name], classes)
    member = training.run()
    assert member.score < 0.5 and 1 <= member.epochs <= 12
    monitored = np.array(member.history["val_error" if classes else "val_rmse"])
    assert member.score == monitored.min() == monitored[member.epochs - 1]
    # The last of equally good epochs, or the first.
    place = np.flatnonzero(monitored == monitored.min())
    assert member.epochs - 1 == place[-1 if SMALL[name].ties == "last" else 0]
    other, y = table(classes, rows=200, seed=1)
    out = member.outputs(other)
    assert out.shape == (200, classes or 1)
    if classes:
        np.testing.assert_allclose(np.mean(out.argmax(axis=1) != y), member.score)


@pytest.mark.parametrize("name", SMALL)
def test_side_by_side_is_as_alone(name):
    recipe = SMALL[name]
    alone = [prepared(recipe, 3, seed).run() for seed in range(3)]
    trainings = [prepared(recipe, 3, seed) for seed in range(3)]
    together = fitted(trainings, [{"network": one.network, **one.arguments(one.epochs)} for one in trainings])
    for mine, wanted in zip(together, alone, strict=True):
        assert mine.epochs == wanted.epochs and mine.score == wanted.score
        for array, other in zip(mine.network.parameters, wanted.network.parameters, strict=True):
            np.testing.assert_array_equal(array, other)


def test_a_refit_stops_where_it_is_told_with_the_schedules_of_all_epochs():
    recipe = SMALL["realmlp-s"]
    whole, part = prepared(recipe, 3, validation=False), prepared(recipe, 3, validation=False, stop_after=5)
    found = part.run()
    assert found.epochs == 5 and found.score is None
    assert part.network.optimizer.param_groups[0]["schedule"].steps == 12 * part.steps_per_epoch
    history = whole.run().history
    np.testing.assert_array_equal(history["loss"][:5], found.history["loss"])


def test_a_time_limit_makes_fewer_epochs_for_the_schedules():
    training = prepared(SMALL["realmlp-s"], 3, epochs=10**6)
    member = training.run(time_limit=0.5)
    steps = training.network.optimizer.param_groups[0]["schedule"].steps
    assert len(member.history) <= steps // training.steps_per_epoch < 10**6
    assert prepared(SMALL["realmlp-s"], 3).run(time_limit=1e-9).epochs == 1
    with pytest.raises(ValueError, match="time_limit"):
        training.run(time_limit=0.0)


def test_the_probe_of_time_leaves_no_trace():
    training = prepared(SMALL["realmlp"], 0)
    before = [array.copy() for array in training.network.parameters]
    training.epochs_within(0.2)
    for array, wanted in zip(training.network.parameters, before, strict=True):
        np.testing.assert_array_equal(array, wanted)
    assert training.network.epochs_done == 0 and training.network.optimizer is None


def test_weights_count():
    columns, y = table(3)
    weight = (y != 2).astype(float)
    training = SMALL["mlp"].prepare(columns, y, Task.of_classes(3), cardinalities=CARDINALITIES, sample_weight=weight)
    assert not (training.run().outputs(columns).argmax(axis=1) == 2).any()


def test_other_losses():
    columns, y = table(0)
    counts = np.round(np.exp(np.clip(y / 2, None, 3)))
    for loss, target, outputs in [
        (schuss.Poisson(), counts, 1),
        (schuss.Gaussian(), y, 2),
        (schuss.Quantile((0.1, 0.9)), np.repeat(y, 2, axis=1), 2),
    ]:
        task = Task(outputs=outputs, loss=loss)
        member = SMALL["realmlp-s"].fit(
            columns, target, task, cardinalities=CARDINALITIES, validation=(columns, target)
        )
        assert np.isfinite(member.score) and member.history["val_loss"][0] > member.score


@pytest.mark.parametrize("drop", ["numbers", "codes"])
@pytest.mark.parametrize("name", BY_NAME)
def test_tables_of_one_kind_of_column(name, drop):
    columns, y = table(3, rows=80)
    recipe = TabM(members=3, hidden=(8, 8), epochs=2) if name == "tabm" else SMALL[name]
    if drop == "numbers":
        columns, sizes = Columns(np.empty((80, 0)), columns.codes), CARDINALITIES
    else:
        columns, sizes = Columns(columns.numbers, np.empty((80, 0), np.int64)), ()
    training = recipe.prepare(columns, y, Task.of_classes(3), cardinalities=sizes)
    assert training.network.predict(training.encoding.transform(columns)).shape[0] == 80


def test_a_recipes_numbers_may_be_others():
    assert RealMLP(epochs=3).to_dict()["epochs"] == 3
    assert RealMLPS().to_dict()["recipe"] == "realmlp-s" and set(BY_NAME) == {"realmlp", "realmlp-s", "tabm", "mlp"}
    with pytest.raises(AttributeError):
        RealMLP().epochs = 5
    for wrong in ({"decay_by_rate": "thrice"}, {"start_from": "dates"}):
        with pytest.raises(ValueError, match="is not known"):
            RealMLPS(**wrong)
