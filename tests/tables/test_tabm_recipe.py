"""TabM beside the tabm package: columns, starts, passes and a stretch of training, live."""

import numpy as np
import pytest

pytest.importorskip("tabm")
pytestmark = pytest.mark.filterwarnings("ignore")

import tabm  # noqa: E402
import torch  # noqa: E402
from sklearn.preprocessing import QuantileTransformer  # noqa: E402

from schuss.tables import Columns  # noqa: E402
from schuss.tables.recipes import TabM, Task  # noqa: E402

MEMBERS, HIDDEN, ROWS = 4, 24, 600
CARDINALITIES = (2, 5)


class Pair:
    """The same table for both, and two networks."""

    def __init__(self, classes):
        rng = np.random.default_rng(classes)
        self.numbers = np.column_stack([rng.normal(size=ROWS), rng.exponential(size=ROWS), rng.integers(0, 4, ROWS)])
        self.codes = np.column_stack([rng.integers(1, c + 1, ROWS) for c in CARDINALITIES])
        score = self.numbers[:, 0] + (self.codes[:, 0] == 1) + 0.3 * rng.normal(size=ROWS)
        self.y = np.digitize(score, [0.0, 1.0]) if classes else ((score - score.mean()) / score.std())[:, None]
        self.classes, self.outputs = classes, classes or 1
        torch.manual_seed(0)
        self.peer = tabm.TabM.make(
            n_num_features=3,
            cat_cardinalities=list(CARDINALITIES),
            d_out=self.outputs,
            k=MEMBERS,
            d_block=HIDDEN,
            dropout=0.0,
        )
        self.recipe = TabM(members=MEMBERS, hidden=(HIDDEN,) * 3, dropout=0.0)
        columns = Columns(self.numbers, self.codes)
        task = Task.of_classes(classes) if classes else Task()
        self.encoding = self.recipe.encoding(columns, CARDINALITIES)
        self.inputs = self.encoding.transform(columns)
        self.training = self.recipe.prepare(columns, self.y, task, cardinalities=CARDINALITIES, encoding=self.encoding)
        self.network, self.task = self.training.network, task

    def pairs(self):
        """Arrays of ours and of theirs, turned as ours."""
        shared = [layer for layer in self.network.layers if layer.kind == "ensemble_dense"]
        for k in range(len(shared)):
            theirs = self.peer.backbone.blocks[k][0]
            named = self.network.named_parameters()
            for name in ("weight", "r", "s", "bias"):
                parameter = getattr(theirs, name)
                yield named[f"layers.{k + 1}.{name}"], parameter, name == "weight"
        heads = self.network.parameters[-2:]
        yield heads[0], self.peer.output.weight, False
        yield heads[1], self.peer.output.bias, False

    def start(self):
        for mine, theirs, turned in self.pairs():
            found = theirs.detach().numpy()
            mine[...] = found.T if turned else found

    def forward(self, rows):
        """tabm's outputs (rows, members, outputs)."""
        numbers = torch.from_numpy(self.inputs["columns"][rows, :3])
        return self.peer(numbers, torch.from_numpy(self.codes[rows] - 1))

    def loss(self, outputs, rows):
        """The mean of the members' losses."""
        target = torch.as_tensor(self.y[rows])
        if self.classes:
            flat = outputs.flatten(0, 1)
            return torch.nn.functional.cross_entropy(flat, target.repeat_interleave(MEMBERS))
        return ((outputs - target.float()[:, None]) ** 2).mean()


@pytest.fixture(scope="module", params=[3, 0], ids=["classes", "quantity"])
def pair(request):
    return Pair(request.param)


def test_columns(pair):
    noise = np.random.default_rng(0).normal(0.0, 1e-5, pair.numbers.shape)
    peer = QuantileTransformer(
        n_quantiles=max(min(ROWS // 30, 1000), 10), output_distribution="normal", subsample=10**9
    ).fit(pair.numbers + noise)
    np.testing.assert_allclose(pair.inputs["columns"][:, :3], peer.transform(pair.numbers), atol=1e-5)
    one_hot = pair.peer.cat_module(torch.from_numpy(pair.codes - 1)).numpy()
    np.testing.assert_array_equal(pair.inputs["columns"][:, 3:], one_hot)


def test_starts(pair):
    fresh = Pair(pair.classes)
    for place, (mine, theirs, turned) in enumerate(fresh.pairs()):
        wanted = theirs.detach().numpy().T if turned else theirs.detach().numpy()
        assert mine.shape == wanted.shape
        if set(np.unique(wanted)) <= {-1.0, 1.0}:  # signs and ones
            assert (place == 1) == (len(np.unique(mine)) == 2) == (len(np.unique(wanted)) == 2)
        else:
            # Uniform within one over the root of what comes in: 10 columns at first, then the hidden ones.
            bound = 1 / np.sqrt(10 if place < 4 else HIDDEN)
            assert 0.5 * bound < np.abs(mine).max() <= bound and 0.5 * bound < np.abs(wanted).max() <= bound
            if mine.size > 2 * HIDDEN:
                np.testing.assert_allclose(mine.std(), wanted.std(), rtol=0.3)
        # Biases are equal in all members, but for the heads'.
        if mine.shape == (MEMBERS, HIDDEN) and len(np.unique(wanted)) > 2:
            assert (mine == mine[0]).all() and (wanted == wanted[0]).all()
    first = fresh.network.named_parameters()["layers.1.r"]
    # A feature has one sign in all its columns: the last has five.
    assert (first[:, 5:] == first[:, 5:6]).all() and (first[:, 3:5] == first[:, 3:4]).all()


def test_values_and_gradients(pair):
    pair.start()
    rows = np.arange(200)
    outputs = pair.forward(rows)
    loss = pair.loss(outputs, rows)
    pair.peer.zero_grad()
    loss.backward()
    # Where predictions are the mean of probabilities, members give probabilities.
    members = outputs.softmax(-1) if pair.classes else outputs
    columns = pair.inputs["columns"][rows]
    found = pair.network.forward(columns)
    np.testing.assert_allclose(found, members.detach().numpy().reshape(200, -1), rtol=1e-4, atol=1e-5)
    wanted = members.mean(1).detach().numpy()
    np.testing.assert_allclose(pair.network.predict(columns), wanted, rtol=1e-4, atol=1e-5)
    value = pair.network.loss_and_gradients(columns, pair.y[rows], "cross_entropy" if pair.classes else "mse")
    np.testing.assert_allclose(value, float(loss.detach()), rtol=1e-5)
    gradients = dict(zip(map(id, pair.network.parameters), pair.network.gradients, strict=True))
    for mine, theirs, turned in pair.pairs():
        wanted = theirs.grad.numpy().T if turned else theirs.grad.numpy()
        np.testing.assert_allclose(gradients[id(mine)], wanted, rtol=1e-4, atol=1e-5 * np.abs(wanted).max())
