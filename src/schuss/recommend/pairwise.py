"""Ranking by pairs: `PairwiseRanker`."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

import numpy as np

from .. import _core
from ..arguments import choice, flag, integer, number, shown
from ..files import header as checks
from ..files.networks import as_damage
from ..history import History
from ..schedules.plain import as_data, of_data
from ..training.rates import told
from . import fitting, saving
from .estimator import Estimator, seed_of
from .matrices import codes
from .pairs import MOST_PAIRS, features
from .ranking import limited, of_factors, places, recommend
from .table import Tables

if TYPE_CHECKING:
    import os
    from collections.abc import Callable

    from numpy.typing import NDArray
    from typing_extensions import Self

    from ..training.early_stopping import EarlyStopping

LOSSES = ("logistic", "bpr", "warp", "warp-kos")
SCHEDULES = ("adagrad", "adadelta")
NEGATIVES = ("auto", "popularity", "uniform")
DTYPES = ("float32", "float64")
_MOST_TRIES = 2**24 - 1
_MOST_COMPONENTS = 2**20


class PairwiseRanker(Estimator):
    """A recommender that learns from what users have seen which items they will like.

    A user and an item are each a vector and a bias: a row of a table, or, with features, the sum of their features'
    rows times the features' values. The score of both is the product of the vectors, plus the biases.

    Arguments, defaults and methods are those of LightFM, so that a program changes its import. What differs is under
    Notes.

    Parameters
    ----------
    no_components : int
        Length of the vectors.
    k, n : int
        For "warp-kos": of n drawn items that the user is known to like the k-th best is learnt from.
    learning_schedule : {"adagrad", "adadelta"}
        AdaGrad, its sums beginning at 1; or Adadelta, which has no learning rate.
    loss : {"logistic", "bpr", "warp", "warp-kos"}
        "logistic": whether the user likes the item, from positive entries and others. "bpr": that an item which was
        seen scores above a drawn one. "warp": the same with items that violate this by a margin of 1, which are
        searched, and weigh more the sooner one is found. "warp-kos": the same, from an item of the user's that is
        drawn.
    learning_rate : float or callable
        Of AdaGrad. A schedule gives that of each step, counted from 0 over all fits.
    rho, epsilon : float
        Of Adadelta.
    item_alpha, user_alpha : float
        Penalties alpha / 2 |row|^2 of the rows that a step touches.
    max_sampled : int
        How many items "warp" tries for each pair.
    random_state : int, numpy.random.Generator, numpy.random.RandomState or None
        What all draws come from. With an integer, a fit gives the same bits wherever it is made.
    negatives : {"auto", "popularity", "uniform"}
        How "bpr" draws: the item of a pair that is drawn from all that were seen ("auto" is this), or any item. The
        other losses take "auto" only: "warp" draws from all items.
    batch_size : int or None
        Pairs that make one step. None: each makes its own, on one thread. Otherwise gradients of a batch are summed,
        so a batch moves rows about as far as its pairs would one by one; threads share the work.
    dtype : {"float32", "float64"}
        Of the tables.

    Attributes
    ----------
    user_embeddings, item_embeddings : ndarray of shape (rows, no_components)
        Views of the tables, which may be written.
    user_biases, item_biases : ndarray of shape (rows,)
    user_embedding_gradients, item_embedding_gradients, user_bias_gradients, item_bias_gradients : ndarray
        AdaGrad's sums of squares, or Adadelta's means.
    user_embedding_momentum, item_embedding_momentum, user_bias_momentum, item_bias_momentum : ndarray
        Adadelta's means of squared steps.
    history_ : History
        By epoch: "loss", the mean over the pairs that had one; and the validation metric, such as
        "val_precision_at_10".
    n_epochs_ : int
        Epochs made since the tables began.

    Notes
    -----
    Other than LightFM, of which all else is the same rule:

    - A negative is never an item that the user is known to like. "bpr" tries 64 draws, then takes any of the items
      that are left, each as likely; a user who likes all items is left out. LightFM takes what it met at last.
    - ``item_alpha`` and ``user_alpha`` shrink the rows that a step touches. LightFM's shrink all others.
    - The user's bias does not change in losses of pairs: it is in both scores. LightFM's falls on and on.
    - Entries of weight 0 are left out. Entries that are not positive are no pairs but for "logistic", and may be
      negatives.
    - Each fit reports its loss. NaN is never silent: `schuss.DivergenceError` says when it came.
    - Users and items may grow from one `fit_partial` to the next.

    A fit that an interrupt ends, or that diverges, keeps what its whole epochs have learnt, and nothing of the one that
    did not end; before the first has ended, all is as it was. Only where tables take more than 16 MiB and an epoch has
    less than 16 / 3 pairs a row, there is no copy to go back to: then they are what the last step has left. Draws
    depend on the seed and the epoch's number alone, so ``fit(epochs=10)`` gives the bits of ``fit(epochs=4)`` and
    ``fit_partial(epochs=6)``, with a file in between or not.

    References
    ----------
    M. Kula, Metadata embeddings for user and item cold-start recommendations, CBRecSys 2015.
    S. Rendle et al., BPR: Bayesian personalized ranking from implicit feedback, UAI 2009.
    J. Weston, S. Bengio, N. Usunier, WSABIE: scaling up to large vocabulary image annotation, IJCAI 2011.
    J. Weston, H. Yee, R. Weiss, Learning to rank recommendations with the k-order statistic loss, RecSys 2013.

    Examples
    --------
    >>> import numpy as np
    >>> from schuss.recommend import PairwiseRanker
    >>> users, items = np.nonzero(np.add.outer(np.arange(20), np.arange(10)) % 2)
    >>> model = PairwiseRanker(loss="warp", random_state=0).fit((users, items), epochs=30)
    >>> found, scores = model.recommend(0, k=3, seen=([0, 0], [1, 3]))
    >>> sorted(int(item) for item in found)
    [5, 7, 9]
    """

    history_: History
    n_epochs_: int
    seed_: int
    _learnt: fitting.State

    def __init__(
        self,
        no_components: int = 10,
        k: int = 5,
        n: int = 10,
        learning_schedule: str = "adagrad",
        loss: str = "logistic",
        learning_rate: float | Callable[[int], float] = 0.05,
        rho: float = 0.95,
        epsilon: float = 1e-6,
        item_alpha: float = 0.0,
        user_alpha: float = 0.0,
        max_sampled: int = 10,
        random_state: Any = None,
        *,
        negatives: str = "auto",
        batch_size: int | None = None,
        dtype: Any = "float32",
    ) -> None:
        self.no_components = no_components
        self.k = k
        self.n = n
        self.learning_schedule = learning_schedule
        self.loss = loss
        self.learning_rate = learning_rate
        self.rho = rho
        self.epsilon = epsilon
        self.item_alpha = item_alpha
        self.user_alpha = user_alpha
        self.max_sampled = max_sampled
        self.random_state = random_state
        self.negatives = negatives
        self.batch_size = batch_size
        self.dtype = dtype

    # -- arguments -----------------------------------------------------------------------------------------------------

    def _checked(self) -> fitting.Settings:
        """The arguments as they are now, which anybody may have changed."""
        loss = choice("loss", self.loss, LOSSES)
        negatives = choice("negatives", self.negatives, NEGATIVES)
        if negatives != "auto" and loss != "bpr":
            raise ValueError(f"negatives must be 'auto' for loss={loss!r}; got {negatives!r}")
        schedule = choice("learning_schedule", self.learning_schedule, SCHEDULES)
        n = integer("n", self.n, 1, _MOST_TRIES)
        rate = (
            self.learning_rate
            if callable(self.learning_rate)
            else number("learning_rate", self.learning_rate, "(0, inf)")
        )
        if told([rate]):
            raise ValueError(
                f"learning_rate must be a schedule of steps alone; got {shown(rate)}, which waits for losses"
            )
        return fitting.Settings(
            dim=integer("no_components", self.no_components, 1, _MOST_COMPONENTS),
            kos=(integer("k", self.k, 1, n) if loss == "warp-kos" else 1, n),
            adadelta=(number("rho", self.rho, "(0, 1)"), number("epsilon", self.epsilon, "(0, inf)"))
            if schedule == "adadelta"
            else None,
            loss=loss,
            learning_rate=rate,
            item_alpha=number("item_alpha", self.item_alpha, "[0, inf)"),
            user_alpha=number("user_alpha", self.user_alpha, "[0, inf)"),
            max_sampled=integer("max_sampled", self.max_sampled, 1, _MOST_TRIES),
            popularity=negatives != "uniform",
            batch=0 if self.batch_size is None else integer("batch_size", self.batch_size, 1, MOST_PAIRS),
            dtype=np.dtype(choice("dtype", np.dtype(self.dtype).name, DTYPES)),
        )

    # -- fitting -----------------------------------------------------------------------------------------------------

    def fit(
        self,
        interactions: Any,
        user_features: Any = None,
        item_features: Any = None,
        sample_weight: Any = None,
        epochs: int = 1,
        num_threads: int | None = None,
        verbose: bool | int = False,
        *,
        validation: Any = None,
        metric: str = "precision_at_10",
        early_stopping: bool | int | EarlyStopping | None = None,
    ) -> Self:
        """Learn from the beginning.

        Parameters
        ----------
        interactions : sparse matrix (users, items), or (users, items[, values])
            What was seen; entries greater than 0 are liked. An entry that is there twice is learnt from twice.
        user_features : sparse matrix (users, features), optional
            What users are sums of; entries need not be sorted, and those that are there twice are added up. None: each
            user is a row of its own.
        item_features : sparse matrix (items, features), optional
            The same of items.
        sample_weight : sparse matrix or array, optional
            The weight of each entry: a matrix with the entries of interactions in the same order, or (entries,). Not
            for "warp-kos".
        epochs : int
            At least 0: the tables begin, and that is all.
        num_threads : int, optional
            None: as many as `schuss.get_num_threads` says. Results are the same.
        verbose : bool or int
            1 or True: a line that is drawn anew, where stderr is a terminal; 2: a line each epoch.
        validation : sparse matrix or (users, items[, values]), optional
            Interactions that are not among the others, for the metric after each epoch. What is learnt from is left
            out of the ranking.
        metric : str
            "precision_at_10", "recall_at_5", "ndcg_at_20", with any number; or "auc": the mean over the users.
        early_stopping : bool, int or EarlyStopping, optional
            After so many epochs without a better metric the fit ends; True: 3. The tables are then those of the best
            epoch, whatever ended the fit.

        Returns
        -------
        self

        Raises
        ------
        ValueError, TypeError
            If an argument is not as described; nothing has changed then.
        DivergenceError
            If a score or a table is NaN or infinite.
        """
        return self._fit(
            True, interactions, user_features, item_features, sample_weight, epochs, num_threads, verbose, validation,
            metric, early_stopping,
        )  # fmt: skip

    def fit_partial(
        self,
        interactions: Any,
        user_features: Any = None,
        item_features: Any = None,
        sample_weight: Any = None,
        epochs: int = 1,
        num_threads: int | None = None,
        verbose: bool | int = False,
        *,
        validation: Any = None,
        metric: str = "precision_at_10",
        early_stopping: bool | int | EarlyStopping | None = None,
    ) -> Self:
        """Go on learning, from these interactions.

        There may be more users, items and features than before: they get rows, and the others keep theirs. `fit`
        documents the arguments.
        """
        return self._fit(
            False, interactions, user_features, item_features, sample_weight, epochs, num_threads, verbose, validation,
            metric, early_stopping,
        )  # fmt: skip

    # scikit-learn's name.
    partial_fit = fit_partial

    def _fit(
        self,
        anew: bool,
        interactions: Any,
        user_features: Any,
        item_features: Any,
        sample_weight: Any,
        epochs: int,
        num_threads: int | None,
        verbose: bool | int,
        validation: Any,
        metric: str,
        early_stopping: bool | int | EarlyStopping | None,
    ) -> Self:
        settings = self._checked()
        watch = fitting.Watch.of(validation, metric, early_stopping)
        epochs = integer("epochs", epochs, 0, fitting.MOST_EPOCHS)
        level = integer("verbose", int(verbose) if isinstance(verbose, (bool, np.bool_)) else verbose, 0, 2)
        given = fitting.given(settings, interactions, user_features, item_features, sample_weight)
        before = self._begun_as(settings) if not anew and self._is_fitted() else None
        if before is None:
            tables = Tables.empty(0, 0, settings.dim, settings.slots, settings.dtype)
            before = fitting.State(tables, fitting.nothing_seen(), seed_of(self.random_state), 0, 0)
            history = History()
        else:
            history = copy.deepcopy(self.history_)
        tables = before.tables
        grows = given.rows[0] > len(tables.users) or given.rows[1] > len(tables.items)
        begin = before._replace(tables=tables.grown(*given.rows, before.seed) if grows else tables)
        with limited(num_threads):
            fitting.run(self.__dict__, begin, settings, given, epochs, level, watch, history)
        return self

    def _begun_as(self, settings: fitting.Settings) -> fitting.State:
        """What was learnt, if the arguments still are those that it began with."""
        tables = self._learnt.tables
        found = tables.dim, tables.slots, tables.flat.dtype
        if found != (settings.dim, settings.slots, settings.dtype):
            raise ValueError(
                f"no_components, learning_schedule and dtype must be those of the first fit, {found[0]}, "
                f"{SCHEDULES[found[1] - 2]} and {found[2]}; fit begins anew"
            )
        return self._learnt

    def _tables(self) -> Tables:
        self._check_fitted()
        return self._learnt.tables

    # -- what was learnt ---------------------------------------------------------------------------------------------

    def _state(self, side: str, slot: int, bias: bool) -> NDArray[Any]:
        tables = self._tables()
        table: NDArray[Any] = getattr(tables, side)
        if slot >= tables.slots:
            raise AttributeError("only Adadelta has means of squared steps")
        return table[:, slot, tables.dim] if bias else table[:, slot, : tables.dim]

    user_embeddings = property(
        lambda self: self._state("users", 0, False), doc="Components of users or their features."
    )
    user_biases = property(lambda self: self._state("users", 0, True), doc="Biases of users or their features.")
    item_embeddings = property(
        lambda self: self._state("items", 0, False), doc="Components of items or their features."
    )
    item_biases = property(lambda self: self._state("items", 0, True), doc="Biases of items or their features.")
    user_embedding_gradients = property(lambda self: self._state("users", 1, False), doc="Sums or means of squares.")
    user_bias_gradients = property(lambda self: self._state("users", 1, True), doc="Sums or means of squares.")
    item_embedding_gradients = property(lambda self: self._state("items", 1, False), doc="Sums or means of squares.")
    item_bias_gradients = property(lambda self: self._state("items", 1, True), doc="Sums or means of squares.")
    user_embedding_momentum = property(lambda self: self._state("users", 2, False), doc="Means of squared steps.")
    user_bias_momentum = property(lambda self: self._state("users", 2, True), doc="Means of squared steps.")
    item_embedding_momentum = property(lambda self: self._state("items", 2, False), doc="Means of squared steps.")
    item_bias_momentum = property(lambda self: self._state("items", 2, True), doc="Means of squared steps.")

    def _represented(self, side: str, given: Any, name: str) -> NDArray[Any]:
        """(n, stride) what users or items are, the bias behind the components."""
        table: NDArray[Any] = getattr(self._tables(), side)
        found = None if given is None else features(name, given, 0, table.dtype)
        if found is not None and found.shape[1] > len(table):
            raise ValueError(f"{name} must have at most {len(table)} columns, as learnt; got shape {found.shape}")
        vectors: NDArray[Any] = fitting.vectors(table, found)
        return vectors

    def _vectors(self, side: str, given: Any) -> tuple[NDArray[Any], NDArray[Any]]:
        found, dim = self._represented(side, given, "features"), self._tables().dim
        return found[:, dim].copy(), np.ascontiguousarray(found[:, :dim])

    def get_user_representations(self, features: Any = None) -> tuple[NDArray[Any], NDArray[Any]]:
        """Biases (users,) and vectors (users, no_components) of users with these features; None: of all rows."""
        return self._vectors("users", features)

    def get_item_representations(self, features: Any = None) -> tuple[NDArray[Any], NDArray[Any]]:
        """Biases (items,) and vectors (items, no_components) of items with these features; None: of all rows."""
        return self._vectors("items", features)

    # -- prediction --------------------------------------------------------------------------------------------------

    def predict(
        self,
        user_ids: Any,
        item_ids: Any,
        item_features: Any = None,
        user_features: Any = None,
        num_threads: int | None = None,
    ) -> NDArray[Any]:
        """Scores of users with items, one by one.

        Parameters
        ----------
        user_ids : int, or array of integers (n,)
            One user for all items, or one each.
        item_ids : array of integers (n,)
        item_features, user_features : sparse matrix, optional
            As in `fit`, of which users and items are rows.
        num_threads : int, optional

        Returns
        -------
        ndarray of shape (n,)
            Higher is better. Scores of different users do not compare.
        """
        items = codes("item_ids", np.atleast_1d(item_ids))
        users = np.full(len(items), user_ids) if np.ndim(user_ids) == 0 else user_ids
        users = codes("user_ids", users)
        if len(users) != len(items):
            raise ValueError(f"user_ids and item_ids must be equally many; got {len(users)} and {len(items)}")
        of_users, user_at = self._represented_of("users", user_features, users)
        of_items, item_at = self._represented_of("items", item_features, items)
        with limited(num_threads):
            return _core.pair_scores(of_users, of_items, self._tables().dim, user_at, item_at)

    def _represented_of(
        self, side: str, given: Any, numbers: NDArray[np.int64]
    ) -> tuple[NDArray[Any], NDArray[np.int32]]:
        """What those of these numbers are, and where among these each is. Without features only their rows are read."""
        name = f"{side[:-1]}_ids"
        if given is None:
            table: NDArray[Any] = getattr(self._tables(), side)
            different, places = np.unique(codes(name, numbers, len(table)), return_inverse=True)
            return np.ascontiguousarray(table[different, 0]), places.astype(np.int32)
        found = self._represented(side, given, f"{side[:-1]}_features")
        return found, codes(name, numbers, len(found)).astype(np.int32)

    def predict_rank(
        self,
        test_interactions: Any,
        train_interactions: Any = None,
        item_features: Any = None,
        user_features: Any = None,
        num_threads: int | None = None,
        check_intersections: bool = True,
    ) -> Any:
        """The place of each test entry among its user's items, from 0, the best, on.

        Parameters
        ----------
        test_interactions : sparse matrix (users, items)
        train_interactions : sparse matrix (users, items), optional
            What is left out of the ranking.
        item_features, user_features : sparse matrix, optional
        num_threads : int, optional
        check_intersections : bool
            Whether to refuse test entries that are train entries too.

        Returns
        -------
        sparse matrix (users, items)
            Compressed rows, with the places of the positive test entries. Items with equal scores are ranked by their
            numbers; those of test entries that are left out are -1.
        """
        if not hasattr(test_interactions, "tocsr"):
            raise TypeError(f"test_interactions must be a sparse matrix of SciPy; got {shown(test_interactions)}")
        found, positives = places(
            self, test_interactions, train_interactions, user_features, item_features, num_threads, check_intersections
        )
        return type(test_interactions.tocsr())(
            (found.place.astype(np.float32), positives.indices, positives.start), shape=positives.shape
        )

    def recommend(
        self,
        users: Any = None,
        k: int = 10,
        filter_seen: bool = True,
        *,
        seen: Any = None,
        items: Any = None,
        user_features: Any = None,
        item_features: Any = None,
        num_threads: int | None = None,
    ) -> tuple[NDArray[np.int64], NDArray[Any]]:
        """The best items for each user, without what is seen, in one compiled pass.

        Parameters
        ----------
        users : int or array of integers, optional
            None: all.
        k : int
            How many items.
        filter_seen : bool
            Whether what the user likes in the interactions of all fits since the tables began is left out.
        seen : sparse matrix or (users, items), optional
            What is left out for whom, in place of that.
        items : array of integers, optional
            The items to choose from. None: all.
        user_features, item_features : sparse matrix, optional
        num_threads : int, optional

        Returns
        -------
        items : array of int64 (users, k), or (k,) for one user
            The best first; -1 where there are no more.
        scores : array (users, k), or (k,)
            Without the user's own bias.
        """
        _, of_users = self.get_user_representations(user_features)
        biases, of_items = self.get_item_representations(item_features)
        model = of_factors(of_users, of_items, biases)
        if flag("filter_seen", filter_seen) and seen is None:
            seen = fitting.within(self._learnt.seen, model.shape)
        return recommend(model, users, k, seen=seen, items=items, num_threads=num_threads)

    def __copy__(self) -> Self:
        """A ranker with tables of its own: training writes into them."""
        return copy.deepcopy(self)

    # -- files -------------------------------------------------------------------------------------------------------

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the ranker to a file, .npz or .safetensors, atomically; `load` reads it.

        A random_state that is a generator is saved as None; the draws of fit_partial are those that would have come all
        the same. A learning_rate that is a function, and no schedule of `schuss.schedules`, cannot be saved.
        """
        users, items = self._tables().parts()
        learnt = self._learnt
        params = self.get_params()
        schedules: list[dict[str, Any]] = []
        if callable(params["learning_rate"]):
            schedules, places = as_data([params["learning_rate"]])
            if places[0] is None:
                raise TypeError("learning_rate must be a number or one of schuss.schedules to be saved; got a function")
            params["learning_rate"] = None
        numbers = {"epochs": learnt.epochs, "steps": learnt.steps, "seed": learnt.seed, "items": learnt.seen.shape[1],
                   "schedules": schedules}  # fmt: skip
        arrays = {"users": users, "items": items, **saving.arrays_of_seen(learnt.seen)}
        saving.write(path, type(self).__name__, saving.Parts(params, numbers, arrays, self.history_))

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Self:
        """Read a ranker from a file written by `save`, which goes on as it would have there.

        Files of strangers may be read: nothing in one is run, and what it says is checked before it is used.

        Raises
        ------
        ValueError
            If the file is damaged, truncated, of a newer version, or not of this class.
        OSError
            If it cannot be read.
        """
        name, _, parts, content = saving.read(path, cls.__name__)
        with as_damage(name):
            numbers = checks.record(_NUMBERS)("its numbers", dict(parts.numbers))
            params = dict(parts.params)
            if numbers["schedules"]:
                params["learning_rate"] = of_data(numbers["schedules"])[-1]
            model = cls(**params)
            settings = model._checked()
            shape = settings.slots, settings.dim + 1
            tables = [
                content.pop(side, (*content._arrays.get(side, _NONE).shape[:1], *shape), settings.dtype)
                for side in ("users", "items")
            ]
            seen = saving.seen_of(content, numbers["items"])
            content.check_empty()
            if not all(np.isfinite(table).all() for table in tables):
                raise ValueError("its tables must be finite")
        state = fitting.State(Tables.of_parts(*tables), seen, numbers["seed"], numbers["epochs"], numbers["steps"])
        model.__dict__.update(_learnt=state, n_epochs_=state.epochs, history_=parts.history, seed_=state.seed)
        return model


_NONE = np.zeros(0)
_NUMBERS: dict[str, checks.Check] = {
    "epochs": checks.whole(0, fitting.MOST_EPOCHS),
    "steps": checks.whole(0, 2**53),
    "seed": checks.whole(0, 2**64 - 1),
    "items": checks.whole(0, 2**31 - 1),
    "schedules": lambda name, value: list(value),
}
