"""`schuss.compare`: what it finds, and that it is what plain trainings find."""

from __future__ import annotations

import json
import threading
from math import isnan
from statistics import median

import numpy as np
import pytest

import schuss
from schuss import compare
from schuss.comparison import comparing, engine, problem, trainings
from schuss.comparison.data import lasting

RNG = np.random.default_rng(3)
X = RNG.normal(size=(160, 5))
LABELS = np.where(X[:, 0] * X[:, 1] > 0, "same", "other")
AMOUNTS = 3 + 100 * X[:, 0] - 40 * X[:, 1] * X[:, 2]
SHORT = {"epochs": 8, "others": False, "network": (12,)}


def numbers(found):
    """All of it but times, as text."""
    return json.dumps(found.to_dict(times=False))


@pytest.fixture(scope="module")
def of_labels():
    return compare(X, LABELS, **SHORT)


def test_the_same_call_finds_the_same_to_the_last_digit(of_labels):
    for threads in (1, 2, 3):
        with schuss.threads(threads):
            assert numbers(compare(X, LABELS, **SHORT)) == numbers(of_labels)


def test_what_each_optimizer_gets_does_not_depend_on_the_others(of_labels):
    alone = compare(X, LABELS, optimizers=["rmsprop"], **SHORT)
    assert alone.contenders[0].tried == of_labels["RMSProp"].tried
    assert [run.losses for run in alone.contenders[0].runs] == [run.losses for run in of_labels["RMSProp"].runs]


def test_defaults(of_labels):
    assert {one.label for one in of_labels.contenders} == {
        "SGD", "SGD + momentum", "AdaGrad", "RMSProp", "Adam", "AdamW", "Lion",
    }  # fmt: skip
    assert of_labels.task == "classification" and of_labels.loss == "cross_entropy" and of_labels.metric == "accuracy"
    assert (of_labels.rows, of_labels.validation_rows, of_labels.features) == (128, 32, 5)
    assert of_labels.judged == "validation" and of_labels.seeds == (0, 1, 2)
    assert of_labels.steps == 8 * 4 and of_labels.epochs == 8.0 and of_labels.every == 4
    assert "5-12-2, relu, 98 parameters" in of_labels.network
    bests = [one.best for one in of_labels.contenders]
    assert bests == sorted(bests) and of_labels.recommended == of_labels.contenders[0].label


def test_all_begin_alike_and_see_the_same_batches(of_labels):
    """The first batch's loss is before any step."""
    for seed in of_labels.seeds:
        first = {run.losses[0] for one in of_labels.contenders for run in one.runs if run.seed == seed}
        assert len(first) == 1
    assert len({run.losses[0] for run in of_labels.contenders[0].runs}) == 3


def test_a_run_is_what_fit_makes_of_it(of_labels):
    """The rate that was found, trained by hand."""
    what = problem.problem(
        X, LABELS, network=(12,), loss=None, validation_data=None, validation_fraction=None, batch_size=32,
        scale=None, seed=0,
    )  # fmt: skip
    for label, kind, arguments in (("SGD + momentum", schuss.SGD, {"momentum": 0.9}), ("Adam", schuss.Adam, {})):
        one = of_labels[label]
        for run in one.runs:
            net = schuss.Network([schuss.Dense(5, 12, "relu"), schuss.Dense(12, 2)], seed=run.seed)
            history = net.fit(
                *what.training[:2],
                loss="cross_entropy",
                optimizer=kind(net.parameters, lr=one.lr, **arguments),
                epochs=8,
                validation_data=what.validation[:2],
                metrics="accuracy",
            )
            assert history["val_loss"].tolist() == list(run.validation)
            assert history["val_accuracy"][-1] == run.score
            # The last batch is as large as the others, so that the mean over steps is the mean over rows.
            np.testing.assert_allclose(history["loss"], run.train, rtol=1e-12)
        assert one.best == median(lasting(run.validation) for run in one.runs)
        assert one.final == median(run.validation[-1] for run in one.runs)
        assert one.score == median(run.score for run in one.runs)
        values = [lasting(run.validation) for run in one.runs]
        assert one.spread == max(values) - min(values)


def test_numbers_follow_from_the_curves(of_labels):
    reached = 0
    for one in of_labels.contenders:
        firsts = sorted(
            next((k for k, loss in enumerate(run.judged) if loss <= of_labels.target), 10**9) for run in one.runs
        )
        if firsts[1] < 10**9:
            assert one.steps_to_target == (firsts[1] + 1) * of_labels.every and one.seconds_to_target > 0
            reached += 1
        else:
            assert one.steps_to_target is None and one.seconds_to_target is None
        assert one.band[0] <= one.lr <= one.band[1]
        longest = [tried for tried in one.tried if tried.steps == of_labels.steps]
        losses = {
            lr: median(tried.loss for tried in longest if tried.lr == lr) for lr in {tried.lr for tried in longest}
        }
        assert min(losses, key=losses.get) == one.lr and losses[one.lr] == one.best
        assert {one.lr / 2, one.lr * 2} <= {tried.lr for tried in one.tried}
        assert len(one.tried) == 3 * len({tried.lr for tried in one.tried})
    assert reached >= 1
    first, following = of_labels.contenders[:2]
    assert of_labels.lead == (following.best - first.best) / following.best
    assert of_labels.within_spread == (following.best - first.best <= max(first.spread, following.spread))


def test_times(of_labels):
    for one in of_labels.contenders:
        for run in one.runs:
            assert len(run.seconds) == len(run.train) == len(run.validation) == 8
            assert all(0 < a < b for a, b in zip(run.seconds, run.seconds[1:], strict=False))
    assert of_labels.seconds == min(median(run.seconds[-1] for run in one.runs) for one in of_labels.contenders)
    found = compare(X, LABELS, optimizers=["sgd"], seconds=1e-9, **SHORT)
    assert found.seconds == 1e-9
    assert found.contenders[0].at_time == median(run.judged[0] for run in found.contenders[0].runs)
    found = compare(X, LABELS, optimizers=["sgd"], seconds=100, **SHORT)
    assert found.contenders[0].at_time == found.contenders[0].best and "longer than" in found.notes[0]


def test_regression():
    found = compare(X, AMOUNTS, optimizers=["adam", "sgd"], **SHORT)
    assert (found.task, found.loss, found.metric) == ("regression", "mse", "r2")
    assert found.contenders[0].best < 0.5  # in units of the target's deviation
    two = compare(X, np.stack([AMOUNTS, -AMOUNTS], 1), optimizers=["adam"], **SHORT)
    assert two.network.startswith("5-12-2")


def test_losses_tell_what_targets_are():
    counts = np.arange(len(X)) % 4
    assert compare(X, counts, optimizers=["adam"], **SHORT).task == "classification"
    for loss in ("mse", "poisson", schuss.Huber(0.5)):
        assert compare(X, counts, loss=loss, optimizers=["adam"], **SHORT).task == "regression"
    many = np.arange(len(X))
    assert compare(X, many, optimizers=["adam"], **SHORT).task == "regression"
    assert compare(X, many % 40, loss="cross_entropy", optimizers=["adam"], **SHORT).network.startswith("5-12-40")
    assert compare(X, X[:, 0] > 0, optimizers=["adam"], **SHORT).task == "classification"


def test_losses_of_classes_are_scored_by_accuracy():
    for loss, y in (
        ("binary_cross_entropy", X[:, 0] > 0),
        ("binary_focal", (X[:, 0] > 0).astype(float)),
        ("focal", LABELS),
    ):
        found = compare(X, y, loss=loss, optimizers=["adam"], **SHORT)
        assert found.task == "classification" and found.metric == "accuracy" and 0 <= found.contenders[0].score <= 1
    layers = [schuss.Dense(5, 2)]
    found = compare(X, X[:, 0], loss="gaussian", network=layers, optimizers=["adam"], epochs=3, others=True)
    assert isnan(found.contenders[0].score) and any("not compared by gaussian" in note for note in found.notes)


def test_without_rows_held_out_training_decides():
    found = compare(X, LABELS, validation_fraction=0, optimizers=["adam", "sgd"], **SHORT)
    assert found.judged == "training" and found.validation_rows == 0 and found.rows == 160
    run = found.contenders[0].runs[0]
    assert run.validation is None and run.judged == run.train
    assert any("held out" in note for note in found.notes)


def test_rows_of_ones_own_validate():
    found = compare(X[:100], LABELS[:100], validation_data=(X[100:], LABELS[100:]), optimizers=["adam"], **SHORT)
    assert (found.rows, found.validation_rows) == (100, 60)
    with pytest.raises(ValueError, match=r"validation_data\[1\] must hold labels that y has, too; got .*new"):
        compare(X[:100], LABELS[:100], validation_data=(X[100:102], ["same", "new"]), **SHORT)


def test_a_network_of_ones_own_is_not_touched():
    net = schuss.Network([schuss.Dense(5, 7, "tanh", dropout=0.2), schuss.Dense(7, 2)], seed=5, dtype="float64")
    before = [array.copy() for array in net.parameters]
    found = compare(X, LABELS, network=net, epochs=4, others=False, optimizers=["adam"])
    assert all(np.array_equal(a, b) for a, b in zip(before, net.parameters, strict=True))
    assert net.optimizer is None and net.epochs_done == 0 and len(net.history) == 0
    assert found.network == "5-7-2, tanh, 58 parameters"
    assert not any("scaled" in note for note in found.notes)
    layers = compare(X, LABELS, network=[schuss.Dense(5, 2)], epochs=4, others=False, optimizers=["adam"])
    assert layers.network == "5-2, 12 parameters"


def test_sequences_and_images_are_trained_on_too():
    images = RNG.normal(size=(60, 6, 6, 1))
    layers = [
        schuss.Input("x", (6, 6, 1)), schuss.Conv2D(4, 3, activation="relu"), schuss.GlobalAvgPool(), schuss.Dense(2),
    ]  # fmt: skip
    found = compare(images, images[:, 0, 0, 0] > 0, network=layers, epochs=3, seeds=1, optimizers=["adam"])
    assert "Conv2D" in found.network and found.features == 36 and found.rows == 48
    codes = RNG.integers(0, 7, (60, 3))
    layers = [schuss.Input("x", 3, dtype="int64"), schuss.Embedding(7, 4), schuss.Dense(2)]
    found = compare(codes, codes[:, 0] > 2, network=layers, epochs=3, seeds=1, optimizers=["adam"])
    assert "Embedding" in found.network and found.contenders[0].runs


def test_optimizers_of_ones_own():
    found = compare(
        X,
        LABELS,
        optimizers={
            "slow": ("adam", {"betas": (0.99, 0.999)}),
            "heavy": (schuss.AdamW, {"weight_decay": 0.3}),
            "far off": ("sgd", {"lr": 1e-6}),
            "free": schuss.ScheduleFreeAdamW,
        },
        **SHORT,
    )
    assert found["slow"].arguments == {"betas": (0.99, 0.999)} and found["slow"].optimizer == "adam"
    assert found["heavy"].arguments == {"weight_decay": 0.3}
    assert min(tried.lr for tried in found["far off"].tried) < 1e-6 < 1e-3 < found["far off"].lr
    assert found["free"].optimizer == "schedule_free_adamw" and found["free"].runs
    labels = [
        one.label
        for one in compare(
            X, LABELS, optimizers=["SGD + momentum", ("sgd", {"nesterov": True, "momentum": 0.8})], **SHORT
        ).contenders
    ]
    assert set(labels) == {"SGD + momentum", "SGD(nesterov=True, momentum=0.8)"}


@pytest.mark.parametrize("name", sorted(set(schuss.optim.BY_NAME) - {"sparse_adam", "row_adagrad"}))
def test_every_optimizer_can_be_compared(name):
    found = compare(X, LABELS, optimizers=[name], epochs=2, seeds=1, others=False, network=(4,))
    assert found.contenders[0].runs, name


def test_what_diverges_ends_itself_only():
    """Large inputs, of a network of one's own."""
    layers = [schuss.Dense(5, 4, "relu"), schuss.Dense(4, 1)]
    found = compare(30 * X, 30 * AMOUNTS, network=layers, optimizers=["sgd", "adam"], others=False, epochs=4)
    tried = found["SGD"].tried
    assert any(isnan(one.loss) for one in tried) and not all(isnan(one.loss) for one in tried)
    assert found["Adam"].runs and not any(run.diverged for run in found["Adam"].runs)
    bad = found["SGD"].runs
    assert bad == () or not all(run.diverged for run in bad)


def test_where_every_rate_diverges_it_says_so():
    layers = [schuss.Dense(5, 4, "relu"), schuss.Dense(4, 1)]
    found = compare(1e5 * X, 1e5 * AMOUNTS, network=layers, optimizers=["sgd", "adam"], others=False, epochs=4)
    one = found["SGD"]
    assert one.runs == () and isnan(one.best) and isnan(one.lr) and one.steps_to_target is None
    assert found.recommended == "Adam" and isnan(found.lead) and "diverged" in str(found)
    assert found.contenders[-1].label == "SGD"
    alone = compare(1e5 * X, 1e5 * AMOUNTS, network=layers, optimizers=["sgd"], others=False, epochs=4)
    assert isnan(alone.target) and "No optimizer finished" in str(alone)
    assert json.loads(json.dumps(alone.to_dict()))["target"] is None


@pytest.mark.parametrize("rows", [1, 2, 3, 7])
def test_tiny_data(rows):
    fraction = 0 if rows == 1 else None
    found = compare(X[:rows], AMOUNTS[:rows], validation_fraction=fraction, optimizers=["adam"], **SHORT)
    assert found.rows + found.validation_rows == rows and found.batch_size <= rows
    assert found.contenders[0].runs
    found = compare(X[:rows], LABELS[:rows], validation_fraction=0, optimizers=["adam"], epochs=2, others=True)
    assert found.contenders[0].runs and found.others


def test_one_epoch_and_one_seed():
    found = compare(X, LABELS, epochs=1, seeds=[7], optimizers=["sgd", "adam"], others=False)
    assert found.seeds == (7,) and found.contenders[0].spread == 0.0
    assert len({one.steps for contender in found.contenders for one in contender.tried}) == 1


def test_lengths():
    assert comparing._length(None, None, 125) == (16, 1)
    assert comparing._length(None, None, 5) == (50, 4)
    assert comparing._length(None, 500, 125) == (4, 1)
    assert comparing._length(None, 501, 125) == (5, 1)
    assert comparing._length(None, 1, 10**6) == (1, 1)
    assert comparing._length(100, None, 5) == (50, 2)
    assert comparing._length(97, None, 5) == (49, 2)
    assert comparing._length(None, None, 10**6) == (8, 1)


def test_others_are_judged_alike():
    pytest.importorskip("sklearn")
    found = compare(X, AMOUNTS, optimizers=["adam"], epochs=8, seeds=1)
    names = {one.name: one for one in found.others}
    assert list(names) == ["mean", "linear", "gradient boosting"]
    assert 0.5 < names["mean"].loss < 1.6 and abs(names["mean"].score) < 0.2
    assert names["linear"].loss < names["mean"].loss and names["linear"].score > 0.5
    np.testing.assert_allclose(names["linear"].score, 1 - names["linear"].loss / names["mean"].loss, atol=0.1)
    found = compare(X, LABELS, optimizers=["adam"], epochs=8, seeds=1)
    assert [one.name for one in found.others] == ["majority", "linear", "gradient boosting"]
    assert found.others[0].score <= found.others[2].score and all(one.seconds >= 0 for one in found.others)


def test_without_scikit_learn_there_is_a_note(monkeypatch):
    from schuss.comparison import others

    monkeypatch.setattr(others.importlib.util, "find_spec", lambda name: None)
    found = compare(X, AMOUNTS, optimizers=["adam"], epochs=2, seeds=1)
    assert [one.name for one in found.others] == ["mean"] and any("pip install" in note for note in found.notes)


def test_large_networks_are_trained_anew_instead_of_kept(of_labels, monkeypatch):
    monkeypatch.setattr(engine, "MEMORY", 1)
    assert numbers(compare(X, LABELS, **SHORT)) == numbers(of_labels)


def test_tables(tmp_path):
    lines = ["kind,size,when,amount"]
    for k in range(90):
        lines.append(f"{'abc'[k % 3]},{k * 7 % 31 if k % 11 else ''},2024-01-{1 + k % 28:02d},{k % 3 * 10 + k % 5}.5")
    path = tmp_path / "own.csv"
    path.write_text("\n".join(lines))
    found = compare(str(path), optimizers=["adam"], epochs=8, others=False)
    assert (found.name, found.task, found.rows + found.validation_rows) == ("own", "regression", 90)
    assert numbers(compare(path, optimizers=["adam"], epochs=8, others=False)) == numbers(found)
    found = compare(path, target="kind", optimizers=["adam"], epochs=8, others=False)
    assert found.task == "classification" and found.network.endswith("parameters")
    letters = {"a": np.arange(300) % 26 + X[0, 0], "letter": [chr(97 + k % 26) for k in range(300)]}
    found = compare(letters, optimizers=["adam"], epochs=2, others=False)
    assert found.task == "classification" and "-26, " in found.network
    columns = {"a": X[:, 0], "b": X[:, 1], "what": LABELS}
    assert compare(columns, optimizers=["adam"], epochs=2, others=False, target="what").task == "classification"
    with pytest.raises(ValueError, match="target 'nothing' is not known"):
        compare(path, target="nothing")


def test_progress_is_told():
    told = []
    compare(X, LABELS, optimizers=["adam", "sgd"], progress=lambda text, share: told.append((text, share)), **SHORT)
    shares = [share for _, share in told]
    assert shares == sorted(shares) and shares[-1] == 1.0 and told[-1][0] == "done"
    assert any("Adam" in text for text, _ in told) and any("SGD" in text for text, _ in told)


@pytest.mark.parametrize("threads", [1, 2])
def test_an_interrupt_ends_it_and_leaves_no_thread(threads):
    def interrupted(text, share):
        if share > 0:
            raise KeyboardInterrupt

    before = threading.active_count()
    with schuss.threads(threads), pytest.raises(KeyboardInterrupt):
        compare(X, LABELS, progress=interrupted, **SHORT)
    assert threading.active_count() == before


def test_an_error_in_a_thread_is_raised(monkeypatch):
    def broken(self, stop):
        raise MemoryError("no room")

    monkeypatch.setattr(trainings.Training, "_epoch", broken)
    with schuss.threads(2), pytest.raises(MemoryError, match="no room"):
        compare(X, LABELS, **SHORT)


BAD = [
    ({"optimizers": ["adamm"]}, ValueError, r"optimizers\[0\]: .*did you mean"),
    ({"optimizers": []}, ValueError, "at least one"),
    ({"optimizers": 3}, TypeError, "optimizers must be"),
    ({"optimizers": ["adam", "adam"]}, ValueError, "'Adam' twice"),
    ({"optimizers": ["adam", ("adam", {"betas": 1})]}, (ValueError, TypeError), r"optimizers\[1\]: .*betas"),
    ({"optimizers": [("adam", {"momentum": 1})]}, TypeError, r"optimizers\[0\]: .*momentum"),
    ({"optimizers": [schuss.Adam([np.zeros(3)])]}, TypeError, r"optimizers\[0\] must be"),
    ({"optimizers": {"a": ("adam", {"lr": -1})}}, ValueError, r"optimizers\['a'\]: lr must be"),
    ({"optimizers": {3: "adam"}}, TypeError, "labels that are text"),
    ({"loss": lambda p, t: (0.0, p)}, ValueError, "loss must be a compiled one"),
    ({"loss": "mss"}, ValueError, "did you mean 'mse'"),
    ({"seeds": 0}, ValueError, "seeds must be"),
    ({"seeds": [1, 1]}, ValueError, "different"),
    ({"seeds": []}, ValueError, "at least one"),
    ({"epochs": 1, "steps": 1}, ValueError, "steps must be None with epochs"),
    ({"epochs": 0}, ValueError, "epochs must be"),
    ({"steps": 0}, ValueError, "steps must be"),
    ({"batch_size": 0}, ValueError, "batch_size must be"),
    ({"seconds": 0}, ValueError, "seconds must be"),
    ({"validation_fraction": 1.0}, ValueError, "validation_fraction must be"),
    ({"validation_data": (X, LABELS), "validation_fraction": 0.3}, ValueError, "validation_fraction must be None"),
    ({"validation_data": X}, ValueError, "validation_data must be"),
    ({"network": "wide"}, TypeError, "network must be"),
    ({"network": (0,)}, ValueError, r"network\[0\] must be"),
    ({"others": 1}, TypeError, "others must be True or False"),
    ({"scale": 1}, TypeError, "scale must be True or False"),
    ({"target": "a"}, ValueError, "target must be None"),
    ({"progress": 1}, TypeError, "progress must be callable"),
    ({"name": 1}, TypeError, "name must be text"),
]


@pytest.mark.parametrize(("arguments", "kind", "match"), BAD)
def test_bad_arguments_are_named(arguments, kind, match):
    with pytest.raises(kind, match=match):
        compare(X, LABELS, **arguments)


def test_bad_data_are_named():
    holes = X.copy()
    holes[3, 2] = np.nan
    with pytest.raises(ValueError, match=r"X\[3, 2\] is nan"):
        compare(holes, LABELS)
    with pytest.raises(ValueError, match="same number of rows"):
        compare(X, LABELS[:-1])
    with pytest.raises(ValueError, match="y must have a row for each"):
        compare(X, np.zeros(0))
    with pytest.raises(ValueError, match="X must have shape"):
        compare(X[:, :, None], LABELS)
    with pytest.raises(ValueError, match="y must hold a label for each row"):
        compare(X, AMOUNTS[:, None], loss="cross_entropy")


def test_trees_that_would_take_long_are_made_quicker(monkeypatch):
    pytest.importorskip("sklearn")
    from schuss.comparison import others

    monkeypatch.setattr(others, "MANY", 9)
    found = compare(X, LABELS, optimizers=["adam"], epochs=2, seeds=1)
    assert "Gradient boosting was made quicker: max_bins=63, max_iter=50, learning_rate=0.2." in found.notes
    found = compare(X, AMOUNTS, optimizers=["adam"], epochs=2, seeds=1)
    assert not any("quicker" in note for note in found.notes)
