"""What all recipes share: from a table's columns and a task to a network ready to be trained, and its training."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from math import ceil
from time import perf_counter
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from ...arguments import integer, number
from ...errors import DivergenceError
from ...losses import MSE, CrossEntropy, Loss
from ...metrics import KNOWN
from ...network import Network
from ...training import EarlyStopping
from ...training.side_by_side import fit_side_by_side
from ..encoding import Encoding

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ...history import History
    from ...layers import Layer
    from ...optim import Optimizer
    from ...training import EpochRecord
    from ..schema import Columns

    Inputs = dict[str, NDArray[Any]]
    Validation = tuple[Columns, Any] | tuple[Columns, Any, Any]


@dataclass(frozen=True)
class Task:
    """What a network is to learn.

    Attributes
    ----------
    classes : int
        How many; 0: quantities.
    outputs : int
        Of the network, for each member of it.
    loss : Loss or None
        None: the recipe's own.
    limits : (low, high) or None
        Between which predictions lie, in the network's units. None: anywhere.
    metric : str or None
        "loss" or one of `schuss.metrics.KNOWN`, by which an epoch is the best. None: found out.
    """

    classes: int = 0
    outputs: int = 1
    loss: Loss | None = None
    limits: tuple[float, float] | None = None
    metric: str | None = None

    @classmethod
    def of_classes(cls, classes: int, loss: Loss | None = None) -> Task:
        """To tell so many classes apart, at least two, with an output each."""
        return cls(integer("classes", classes, 2), classes, loss)

    @property
    def monitor(self) -> str:
        """The metric by which an epoch is the best; unless told, of wrong classes, of distance, or the loss itself."""
        if self.metric is not None:
            return self.metric
        if isinstance(self.loss, (CrossEntropy, type(None))) and self.classes:
            return "error"
        return "rmse" if isinstance(self.loss, (MSE, type(None))) else "loss"


@dataclass(frozen=True)
class Recipe:
    """A network with all that its training takes. It holds numbers only; each of them may be given another value.

    Attributes
    ----------
    name : str
        By which it is asked for.
    """

    name: ClassVar[str]
    # How often all rows are passed, unless told otherwise, and in which portions.
    epochs: int
    batch_size: int
    # Epochs without improvement after which training stops; None: it never stops early.
    patience: int | None
    # Which epoch is kept of several equally good ones.
    ties: str
    drop_last: bool
    clip_norm: float | None

    def networks(self, rows: int) -> int:
        """How many networks so many rows are given, unless told: five where that is cheap, one from 20 001 rows on."""
        return max(1, min(5, 40_000 // max(rows, 1)))

    def encoding(self, columns: Columns, cardinalities: Sequence[int]) -> Encoding:
        """Learn from training rows how columns become the network's inputs."""
        raise NotImplementedError

    def layers(self, encoding: Encoding, inputs: Inputs, task: Task) -> list[Layer]:
        """The network's layers, for training rows with these inputs."""
        raise NotImplementedError

    def start(self, network: Network, inputs: Inputs) -> None:
        """What parameters start from beyond what the layers say."""

    def cautious(self) -> Recipe | None:
        """The same, with a start and a rate that are less likely to diverge; None: there is none."""
        return None

    def optimizer(self, network: Network, task: Task, steps: int) -> Optimizer:
        """Over the network's parameters, with schedules for so many steps in all."""
        raise NotImplementedError

    def loss(self, task: Task) -> Loss:
        """What training makes small."""
        if task.loss is not None:
            return task.loss
        return CrossEntropy() if task.classes else MSE()

    def during(self, steps: int) -> dict[str, Any]:
        """Further arguments of `Network.fit`, for so many steps in all."""
        return {}

    def to_dict(self) -> dict[str, Any]:
        """The recipe as plain data."""
        return {"recipe": self.name, **{field.name: getattr(self, field.name) for field in fields(self)}}

    def prepare(
        self,
        columns: Columns,
        y: Any,
        task: Task,
        *,
        cardinalities: Sequence[int] = (),
        validation: Validation | None = None,
        sample_weight: Any = None,
        seed: int = 0,
        epochs: int | None = None,
        stop_after: int | None = None,
        encoding: Encoding | None = None,
    ) -> Training:
        """A network and everything that its training needs. Nothing is trained yet.

        Parameters
        ----------
        columns : Columns
            Training rows.
        y : array
            Labels (rows,) from 0 to classes - 1, or quantities (rows, targets) in the network's units.
        task : Task
        cardinalities : sequence of int
            Categories of each column of codes.
        validation : (columns, y) or (columns, y, sample_weight), optional
            Rows by which the best epoch is found.
        sample_weight : array of shape (rows,), optional
        seed : int
            What the start, the order of rows and dropout follow from.
        epochs : int, optional
            That the schedules are made for. Default: the recipe's.
        stop_after : int, optional
            Epochs after which training ends, schedules or not: those found best in another training, for one on all
            rows.
        encoding : Encoding, optional
            That of the same training rows, where it is there already.
        """
        if encoding is None:
            encoding = self.encoding(columns, cardinalities)
        inputs = encoding.transform(columns)
        network = Network(self.layers(encoding, inputs, task), seed=seed)
        self.start(network, inputs)
        held: tuple[Any, ...] | None = None
        if validation is not None:
            held = (encoding.transform(validation[0]), *validation[1:])
        return Training(
            self,
            task,
            encoding,
            network,
            (inputs, y, sample_weight),
            held,
            integer("epochs", self.epochs if epochs is None else epochs, 1),
            None if stop_after is None else integer("stop_after", stop_after, 1),
        )

    def fit(self, columns: Columns, y: Any, task: Task, *, time_limit: float | None = None, **options: Any) -> Member:
        """`prepare`, with its arguments, and train.

        Parameters
        ----------
        time_limit : float, optional
            Seconds. The schedules are made for as many epochs as fit into them.
        """
        return self.prepare(columns, y, task, **options).run(time_limit)


@dataclass(frozen=True)
class Member:
    """A trained network with the steps in front of it.

    Attributes
    ----------
    encoding : Encoding
    network : Network
    epochs : int
        After so many epochs its parameters were what they are.
    score : float or None
        Of that epoch, in the metric that was monitored on validation rows, negative where more is better.
    history : History
        Of its training.
    """

    encoding: Encoding
    network: Network
    epochs: int
    score: float | None
    history: History

    def outputs(self, columns: Columns) -> NDArray[Any]:
        """(rows, outputs) of the network."""
        return self.network.predict(self.encoding.transform(columns))


class Training:
    """A training that is ready to run.

    Attributes
    ----------
    encoding : Encoding
    network : Network
        At its start, until `run`.
    epochs : int
        That the schedules are made for.
    """

    def __init__(
        self,
        recipe: Recipe,
        task: Task,
        encoding: Encoding,
        network: Network,
        data: tuple[Inputs, Any, Any],
        validation: tuple[Any, ...] | None,
        epochs: int,
        stop_after: int | None,
    ) -> None:
        self.recipe, self.task, self.encoding, self.network = recipe, task, encoding, network
        self.epochs, self.stop_after = epochs, stop_after
        self._data, self._validation = data, validation
        self.rows = len(next(iter(data[0].values())))
        self._batch = min(recipe.batch_size, self.rows)

    @property
    def steps_per_epoch(self) -> int:
        """Steps of an epoch; a last one with fewer rows is left out, if the recipe says so."""
        return self.rows // self._batch if self.recipe.drop_last else ceil(self.rows / self._batch)

    def arguments(self, epochs: int) -> dict[str, Any]:
        """Those of `Network.fit`, with schedules for so many epochs. The optimizer is a new one."""
        recipe, task = self.recipe, self.task
        steps = epochs * self.steps_per_epoch
        inputs, y, weights = self._data
        found: dict[str, Any] = {
            "X": inputs,
            "y": y,
            "loss": recipe.loss(task),
            "optimizer": recipe.optimizer(self.network, task, steps),
            "epochs": epochs if self.stop_after is None else min(epochs, self.stop_after),
            "batch_size": self._batch,
            "drop_last": recipe.drop_last,
            "sample_weight": weights,
            "clip_norm": recipe.clip_norm,
            **recipe.during(steps),
        }
        if self._validation is not None:
            metrics = [] if task.monitor == "loss" else [task.monitor]
            patience = epochs if recipe.patience is None else recipe.patience
            best = EarlyStopping(patience, monitor=f"val_{task.monitor}", ties=recipe.ties)
            found.update(validation_data=self._validation, metrics=metrics, training_metrics=False, early_stopping=best)
        return found

    def run(
        self,
        time_limit: float | None = None,
        callbacks: Iterable[Callable[[EpochRecord], Any]] = (),
        verbose: int = 0,
    ) -> Member:
        """Train.

        Parameters
        ----------
        time_limit : float, optional
            Seconds, above 0. Schedules are made for as many epochs as fit into them, by what a few steps take, and
            training ends with the epoch in which they are over. At least one epoch is trained.
        callbacks, verbose
            As `Network.fit` takes them.

        Raises
        ------
        DivergenceError
            If no epoch went well. If a later one does not, the best one before is what is left.
        """
        asked = list(callbacks)
        epochs = self.epochs if time_limit is None else self.epochs_within(time_limit)
        if time_limit is not None:
            asked.append(_until(perf_counter() + time_limit))
        arguments = {"network": self.network, **self.arguments(epochs), "callbacks": asked, "verbose": verbose}
        return fitted([self], [arguments])[0]

    def epochs_within(self, seconds: float) -> int:
        """How many epochs take no longer, by what a few steps and one look at the validation rows take; at least one,
        and at most the recipe's.
        """
        number("time_limit", seconds, "(0, inf)")
        few = copy.copy(self)
        few.network = copy.deepcopy(self.network)
        rows = min(self.rows, 10 * self._batch)
        inputs, y, weights = self._data
        few._data = (_first(inputs, rows), y[:rows], None if weights is None else weights[:rows])
        few._validation, few.rows, few.stop_after = None, rows, None
        arguments = few.arguments(1)
        start = perf_counter()
        few.network.fit(**arguments)
        each = (perf_counter() - start) * self.rows / rows
        if self._validation is not None:
            start = perf_counter()
            few.network.predict(self._validation[0])
            each += perf_counter() - start
        return min(self.epochs, max(1, int(seconds / each)))

    def member(self, found: History | DivergenceError) -> Member:
        """What a fit of the network with `arguments` has come to.

        Raises
        ------
        DivergenceError
            That, if no epoch before it went well.
        """
        history = self.network.history
        if isinstance(found, DivergenceError) and (not len(history) or self._validation is None):
            raise found
        name = f"val_{self.task.monitor}"
        if self._validation is None:
            return Member(self.encoding, self.network, len(history.epochs), None, history)
        scores = np.array(history[name]) * (1.0 if KNOWN.get(self.task.monitor, True) else -1.0)
        # NaN is never the best.
        best = float(np.nanmin(scores)) if not np.isnan(scores).all() else None
        places = np.flatnonzero(scores == best) if best is not None else np.array([len(scores) - 1])
        place = int(places[-1] if self.recipe.ties == "last" else places[0])
        return Member(self.encoding, self.network, place + 1, best, history)


def fitted(trainings: Sequence[Training], fits: Sequence[Mapping[str, Any]]) -> list[Member]:
    """What trainings come to by these fits: a lone one on all threads, several side by side, each on one.

    Parameters
    ----------
    trainings : sequence of Training
    fits : sequence of mapping
        For each, its network as "network" and the arguments of `Network.fit`.

    Raises
    ------
    DivergenceError
        If one of them had no epoch that went well.
    """
    found: Sequence[History | DivergenceError]
    if len(fits) == 1:
        arguments = dict(fits[0])
        try:
            found = [arguments.pop("network").fit(**arguments)]
        except DivergenceError as error:
            found = [error]
    else:
        found = fit_side_by_side(fits)
    return [training.member(of_one) for training, of_one in zip(trainings, found, strict=True)]


def _until(end: float) -> Callable[[EpochRecord], bool]:
    """What ends a training with the epoch in which that time has come."""
    return lambda _: perf_counter() >= end


def _first(inputs: Inputs, rows: int) -> Inputs:
    return {name: array[:rows] for name, array in inputs.items()}


def grouped(network: Network, options: Callable[[Layer, str], Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The parameters in groups for an optimizer, by what each layer's arrays are to get."""
    graph = network._graph
    patterns: dict[str, Mapping[str, Any]] = {}
    for (node, array), name in zip(network._core.names, network.named_parameters(), strict=True):
        layer = graph.makers[node]
        if layer is not None:
            patterns[name] = options(layer, array)
    return network.parameter_groups(patterns)
