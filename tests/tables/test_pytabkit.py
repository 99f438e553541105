"""RealMLP beside pytabkit's: preprocessing, passes, starts, schedules and whole stretches of training, live."""

import numpy as np
import pytest

pytest.importorskip("pytabkit")
pytestmark = pytest.mark.filterwarnings("ignore")

import torch  # noqa: E402

from schuss.tables import Columns, Standardise  # noqa: E402
from schuss.tables.recipes import RealMLP, RealMLPS, Task  # noqa: E402
from tests.tables.peer import Watched  # noqa: E402

ROWS, EPOCHS = 700, 12
CARDINALITIES = (2, 5, 20)
KINDS = {
    "td-s classes": ("RealMLP_TD_S_Classifier", RealMLPS, 3),
    "td-s quantity": ("RealMLP_TD_S_Regressor", RealMLPS, 0),
    "td classes": ("RealMLP_TD_Classifier", RealMLP, 2),
    "td quantity": ("RealMLP_TD_Regressor", RealMLP, 0),
}


class Pair:
    """A fit of pytabkit, and our recipe for the same rows with pytabkit's start."""

    def __init__(self, kind):
        import pandas as pd
        import pytabkit

        name, recipe, classes = KINDS[kind]
        rng = np.random.default_rng(len(kind))
        numbers = np.column_stack(
            [rng.normal(size=ROWS), rng.exponential(size=ROWS), rng.integers(0, 3, ROWS), np.full(ROWS, 2.5)]
        )
        codes = np.column_stack([rng.integers(1, c + 1, ROWS) for c in CARDINALITIES])
        codes[: max(CARDINALITIES), 2] = np.arange(1, 21)
        frame = pd.DataFrame(numbers, columns=list("abcd"))
        for k in range(3):
            frame[f"k{k}"] = [f"v{code:02d}" for code in codes[:, k]]
        score = numbers[:, 0] + (codes[:, 0] == 1) + np.sin(codes[:, 2]) + rng.normal(size=ROWS) * 0.3
        y = np.digitize(score, np.quantile(score, np.arange(1, classes) / classes)) if classes else 3 + 2 * score
        options = {"n_epochs": EPOCHS, "random_state": 0, "verbosity": 0, "device": "cpu", "n_threads": 1}
        options |= {"p_drop": 0.0} if recipe is RealMLP else {}
        torch.set_num_threads(1)
        self.peer = Watched(getattr(pytabkit, name)(**options), frame, y)
        self.frame, self.y, self.kind = frame, y, kind
        self.columns = Columns(numbers, codes)
        train = self.peer.training
        self.recipe = recipe(epochs=EPOCHS, dropout=0.0, decay_by_rate="twice")
        self.standard = None if classes else Standardise.fit(y[train, None])
        self.target = y if classes else self.standard.transform(y[:, None])
        self.task = (
            Task.of_classes(classes) if classes else Task(limits=tuple(float(v[0]) for v in self.standard.limits()))
        )
        self.training = self.recipe.prepare(
            self.rows(train), self.target[train], self.task, cardinalities=CARDINALITIES, validation=self.held()
        )
        self.network, self.encoding = self.training.network, self.training.encoding
        self.inputs = self.encoding.transform(self.columns)

    def rows(self, index):
        return Columns(self.columns.numbers[index], self.columns.codes[index])

    def held(self):
        return self.rows(self.peer.validation), self.target[self.peer.validation]

    def taken(self, index):
        """Rows as our network takes them."""
        return {name: array[index] for name, array in self.inputs.items()}

    def names(self):
        """pytabkit's name of each of our parameters, in our order."""
        order = ["/plr/weight_1", "/plr/bias_1", "/plr/weight_2", "/plr/bias_2", "/tfms/emb"]
        for k, place in enumerate(["first", "middle", "middle", "last"]):
            order += [f"/net/{place}_layer/layer-{k}/{part}" for part in ("scale", "weight", "bias", "act")]
        found = [name for name in order if name in self.peer.start]
        assert len(found) == len(self.peer.start) == len(self.network.parameters)
        return found

    def start(self):
        """Both networks as pytabkit's started."""
        for name, mine in zip(self.names(), self.network.parameters, strict=True):
            mine[...] = self.peer.start[name].reshape(mine.shape)
            with torch.no_grad():
                self.peer.parameters[name][0].copy_(torch.as_tensor(self.peer.start[name]))


@pytest.fixture(scope="module", params=KINDS)
def pair(request):
    return Pair(request.param)


def test_preprocessing(pair):
    peer, mine = pair.peer.inputs, pair.inputs
    if "columns" in mine:
        np.testing.assert_allclose(mine["columns"], peer["x_cont"], atol=1e-6)
        return
    # The constant column, like the others, is scaled by statistics of the training rows within the network.
    both = pair.peer.model.tfms[0].layers
    with torch.no_grad():
        batch = pair.peer.batch(np.arange(ROWS))
        numbers, flags = dict(batch), dict(batch)
        for layer in list(both[0].tfms)[:-1]:
            numbers = layer.forward_tensors(numbers)
        for layer in list(both[1].tfms[:1]) + list(both[1].tfms[1].tfms)[:-1]:
            flags = layer.forward_tensors(flags)
    np.testing.assert_allclose(mine["numbers"], numbers["x_cont"][0].numpy(), atol=1e-6)
    np.testing.assert_allclose(mine["flags"], flags["x_cont"][0].numpy(), atol=1e-6)
    np.testing.assert_array_equal(mine["codes"], peer["x_cat"])


def test_values_and_gradients(pair):
    pair.start()
    rows = pair.peer.training[:200]
    model = pair.peer.model.train()
    model.zero_grad()
    output = model(pair.peer.batch(rows))
    criterion, _ = pair.peer.creator.get_criterions()
    loss = criterion(output["x_cont"], output["y"]).sum()
    loss.backward()
    found = pair.network.loss_and_gradients(pair.taken(rows), pair.target[rows], pair.recipe.loss(pair.task))
    np.testing.assert_allclose(found, float(loss.detach()), rtol=1e-5)
    np.testing.assert_allclose(
        pair.network.forward(pair.taken(rows)), output["x_cont"][0].detach().numpy(), rtol=1e-4, atol=1e-5
    )
    for name, mine in zip(pair.names(), pair.network.gradients, strict=True):
        wanted = pair.peer.parameters[name].grad[0].numpy().reshape(mine.shape)
        np.testing.assert_allclose(mine, wanted, rtol=1e-4, atol=1e-5 * max(np.abs(wanted).max(), 1e-3), err_msg=name)


def test_predictions(pair):
    pair.start()
    # Far from trained, so that some quantities are clamped.
    name = pair.names()[-2]
    pair.network.parameters[-2][...] *= 10
    with torch.no_grad():
        pair.peer.parameters[name] *= 10
    model = pair.peer.model.eval()
    far = pair.peer.batch(np.arange(ROWS))
    with torch.no_grad():
        wanted = model(far)["x_cont"][0].numpy()
    found = pair.network.predict(pair.inputs)
    if pair.standard is not None:
        found = pair.standard.inverse(found)
    np.testing.assert_allclose(found, wanted, rtol=1e-4, atol=1e-3)
    if pair.kind == "td quantity":
        assert (wanted == wanted.max()).sum() > 1 and (wanted == wanted.min()).sum() > 1


def test_rates_and_decays_of_every_step(pair):
    steps = len(pair.peer.rates)
    assert steps == EPOCHS * (len(pair.peer.training) // 256) == EPOCHS * pair.training.steps_per_epoch
    optimizer = pair.recipe.optimizer(pair.network, pair.task, steps)
    of_array = {id(array): group for group in optimizer.param_groups for array in group["params"]}
    for name, mine in zip(pair.names(), pair.network.parameters, strict=True):
        group = of_array[id(mine)]
        factor = group.get("lr_factor", 1.0)
        peer_factors = pair.peer.factors[name]
        decay = group.get("decay_schedule") or (lambda step, group=group: group.get("weight_decay", 0.0))
        for step in range(steps):
            rate, peer_decay = pair.peer.rates[step][name]
            np.testing.assert_allclose(group["schedule"](step) * factor, rate, rtol=1e-9, atol=1e-15)
            # pytabkit multiplies by the factors once more where it decays.
            wanted = peer_decay * peer_factors.get("wd", 1.0) * peer_factors.get("lr", 1.0)
            np.testing.assert_allclose(decay(step), wanted, rtol=1e-9, atol=1e-15)


def test_a_whole_stretch_of_training(pair):
    pair.start()
    optimizer = pair.recipe.optimizer(pair.network, pair.task, len(pair.peer.losses))
    loss = pair.recipe.loss(pair.task)
    found = [
        pair.network.train_step(pair.taken(rows), pair.target[rows], loss=loss, optimizer=optimizer)
        for rows in pair.peer.batches
    ]
    # Rounding grows: a few tens of steps stay together.
    np.testing.assert_allclose(found, pair.peer.losses, rtol=1e-3)
    np.testing.assert_allclose(found[:10], pair.peer.losses[:10], rtol=1e-4)


def test_starts(pair):
    """Layer by layer: what the weights make of the training rows, and where the biases lie."""
    train = pair.peer.training
    fresh = pair.recipe.prepare(
        pair.rows(train), pair.target[train], pair.task, cardinalities=CARDINALITIES, seed=7
    ).network
    for name, mine in zip(pair.names(), fresh.parameters, strict=True):
        theirs = pair.peer.start[name].reshape(mine.shape)
        assert (mine.std() == 0) == (theirs.std() == 0), name
        if mine.size == 1:
            assert (mine != 0 and theirs != 0) or mine == theirs, name
        elif mine.std() == 0:
            np.testing.assert_array_equal(mine, theirs, err_msg=name)
        elif mine.size >= 200:
            np.testing.assert_allclose(mine.std(), theirs.std(), rtol=0.25, err_msg=name)
            assert abs(mine.mean() - theirs.mean()) < 0.2 * theirs.std() + 5 * theirs.std() / np.sqrt(mine.size), name


@pytest.mark.parametrize("rows", [2, 100, 255, 256, 257, 511, 512, 767, 768, 1000])
def test_steps_of_an_epoch(rows):
    """One from few rows: smaller batches for them do no better."""
    from pytabkit.models.data.data import DictDataset, ParallelDictDataLoader, TensorInfo

    table = DictDataset({"x_cont": torch.zeros(rows, 1)}, {"x_cont": TensorInfo(feat_shape=[1])})
    loader = ParallelDictDataLoader(table, torch.arange(rows)[None], batch_size=256, shuffle=True, drop_last=True)
    columns = Columns(np.random.default_rng(0).normal(size=(rows, 2)), np.zeros((rows, 0), np.int64))
    for recipe in (RealMLP(), RealMLPS()):
        training = recipe.prepare(columns, np.arange(rows) % 2, Task.of_classes(2))
        assert training.steps_per_epoch == loader.n_batches == sum(1 for _ in loader)
        assert training.arguments(1)["batch_size"] == loader.batch_size
