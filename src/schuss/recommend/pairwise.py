"""Ranking by pairs: `PairwiseRanker`."""

from __future__ import annotations

import inspect
import threading
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any

import numpy as np

from .. import _core
from ..arguments import choice, flag, integer, number, shown
from ..threads import MOST as MOST_THREADS
from ..threads import threads
from . import files, fitting
from .matrices import codes, entries
from .pairs import features
from .table import Table

if TYPE_CHECKING:
    import os
    from collections.abc import Callable
    from contextlib import AbstractContextManager

    from numpy.typing import NDArray
    from typing_extensions import Self

    from .pairs import Features

LOSSES = ("logistic", "bpr", "warp", "warp-kos")
SCHEDULES = ("adagrad", "adadelta")
NEGATIVES = ("auto", "popularity", "uniform")
DTYPES = ("float32", "float64")
_MOST_TRIES = 2**24 - 1
_MOST_COMPONENTS = 2**20
# Streams of the rows that a side begins with.
USERS, ITEMS = 0, 1


class PairwiseRanker:
    """A recommender that learns from what users have seen which items they will like.

    A user and an item are each a vector and a bias: a row of a table, or, with features, the sum of their features' rows
    times the features' values. The score of both is the product of the vectors, plus the biases.

    Arguments, defaults and methods are those of LightFM, so that a program changes its import. What differs is under Notes.

    Parameters
    ----------
    no_components : int
        Length of the vectors.
    k, n : int
        For "warp-kos": of n drawn items that the user likes the k-th best is learnt from.
    learning_schedule : {"adagrad", "adadelta"}
        AdaGrad, its sums beginning at 1; or Adadelta, which has no learning rate.
    loss : {"logistic", "bpr", "warp", "warp-kos"}
        "logistic": whether the user likes the item, from positive entries and others. "bpr": that an item which was seen
        scores above a drawn one. "warp": the same with items that violate this by a margin of 1, which are searched, and
        weigh more the sooner one is found. "warp-kos": this for one step of each user.
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
        How "bpr" draws: the item of a pair that is drawn from all that were seen ("auto" is this), or any item. The other
        losses take "auto" only: "warp" draws from all items.
    batch_size : int or None
        Pairs that make one step. None: each makes its own, on one thread. Otherwise gradients of a batch are summed, so a
        batch moves rows about as far as its pairs would one by one; threads share the work.
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
    history_ : dict of str to list of float
        By epoch: "loss", the mean over the pairs that had one; and the validation metric, under its name.
    epochs_ : int
        Epochs made since the tables began.
    best_epoch_ : int or None
        That whose tables early stopping has kept.

    Notes
    -----
    Other than LightFM, of which all else is the same rule:

    - A negative is never an item that the user is known to like. "bpr" tries 64 draws, then takes any of the items that are
      left, each as likely; a user who likes all items is left out. LightFM takes what it met at last.
    - ``item_alpha`` and ``user_alpha`` shrink the rows that a step touches. LightFM's shrink all others.
    - The user's bias does not change in losses of pairs: it is in both scores. LightFM's falls on and on.
    - Entries of weight 0 are left out. Entries that are not positive are no pairs but for "logistic", and may be negatives.
    - Each fit reports its loss. NaN is never silent: `schuss.DivergenceError` says when it came.
    - Users and items may grow from one `fit_partial` to the next.

    A fit that is stopped, by an interrupt or because it diverged, leaves the tables as the last whole epoch has left them;
    where they take more than 256 MiB, as the last steps did. The epochs after that are those that would have come: draws
    depend on the seed and the epoch's number alone, so ``fit(epochs=10)`` gives the bits of ``fit(epochs=4)`` and
    ``fit_partial(epochs=6)``.

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
        self._lock = threading.RLock()
        self._forget()

    # -- arguments ---------------------------------------------------------------------------------------------------

    @classmethod
    def _argument_names(cls) -> list[str]:
        return [name for name in inspect.signature(cls.__init__).parameters if name != "self"]

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """The constructor's arguments, by name."""
        return {name: getattr(self, name) for name in self._argument_names()}

    def set_params(self, **params: Any) -> Self:
        """Set some of the constructor's arguments.

        Raises
        ------
        ValueError
            If a name is not one of them; nothing has changed then.
        """
        known = self._argument_names()
        for name in params:
            choice("parameter", name, known)
        self.__dict__.update(params)
        return self

    def __repr__(self) -> str:
        plain = {name: p.default for name, p in inspect.signature(type(self).__init__).parameters.items()}
        given = {name: value for name, value in self.get_params().items() if value is not plain[name]}
        changed = ", ".join(f"{name}={shown(value)}" for name, value in given.items() if value != plain[name])
        return f"{type(self).__name__}({changed})"

    def _checked(self) -> fitting.Settings:
        """The arguments as they are now, which anybody may have changed."""
        loss = choice("loss", self.loss, LOSSES)
        negatives = choice("negatives", self.negatives, NEGATIVES)
        if negatives != "auto" and loss != "bpr":
            raise ValueError(f"negatives must be 'auto' for loss={loss!r}; got {negatives!r}")
        schedule = choice("learning_schedule", self.learning_schedule, SCHEDULES)
        n = integer("n", self.n, 1, _MOST_TRIES)
        rate = self.learning_rate if callable(self.learning_rate) else number("learning_rate", self.learning_rate, "(0, inf)")
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
            batch=0 if self.batch_size is None else integer("batch_size", self.batch_size, 1),
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
        early_stopping: bool | int | None = None,
    ) -> Self:
        """Learn from the beginning.

        Parameters
        ----------
        interactions : sparse matrix (users, items), or (users, items[, values])
            What was seen; entries greater than 0 are liked. An entry that is there twice is learnt from twice.
        user_features : sparse matrix (users, features), optional
            What users are sums of; entries need not be sorted, and those that are there twice are added up. None: each user
            is a row of its own.
        item_features : sparse matrix (items, features), optional
            The same of items.
        sample_weight : sparse matrix or array, optional
            The weight of each entry: a matrix with the entries of interactions in the same order, or (entries,). Not for
            "warp-kos".
        epochs : int
            At least 0: the tables begin, and that is all.
        num_threads : int, optional
            None: as many as `schuss.get_num_threads` says. Results are the same.
        verbose : bool or int
            1 or True: a line that is drawn anew, where stderr is a terminal; 2: a line each epoch.
        validation : sparse matrix or (users, items[, values]), optional
            Interactions that are not among the others, for the metric after each epoch. What is learnt from is left out of
            the ranking.
        metric : str
            "precision_at_10", "recall_at_5", "ndcg_at_20", with any number; or "auc": the mean over the users.
        early_stopping : bool or int, optional
            After so many epochs without a better metric the fit ends; True: 3. The tables are then, whatever ended the fit,
            those of the best epoch.

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
        early_stopping: bool | int | None = None,
    ) -> Self:
        """Go on learning, from these interactions.

        There may be more users, items and features than before: they get rows, and the others keep theirs. `fit` documents
        the arguments.
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
        early_stopping: bool | int | None,
    ) -> Self:
        settings = self._checked()
        watch = fitting.Watch.of(validation, metric, early_stopping)
        epochs = integer("epochs", epochs, 0)
        level = integer("verbose", int(verbose) if isinstance(verbose, (bool, np.bool_)) else verbose, 0)
        given = fitting.given(settings, interactions, user_features, item_features, sample_weight)
        with self._lock, _limited(num_threads):
            self._settle()
            begun = None if anew or self._users is None else self._begun_as(settings)
            seed = fitting.seed_of(self.random_state) if begun is None else self._seed
            before = begun or (self._empty(settings), self._empty(settings))
            users = before[0].grown(given.user_rows, seed, USERS)
            items = before[1].grown(given.item_rows, seed, ITEMS)
            if begun is None:
                self._forget()
            self.__dict__.update(_users=users, _items=items, _seed=seed)
            fitting.run(self, settings, given, epochs, level, watch)
        return self

    @staticmethod
    def _empty(settings: fitting.Settings) -> Table:
        return Table(settings.dim, settings.adadelta is not None, settings.dtype)

    def _begun_as(self, settings: fitting.Settings) -> tuple[Table, Table]:
        """The tables, if the arguments still are those that they began with."""
        users, items = self._tables()
        found = users.dim, users.array.shape[1] == 3, users.array.dtype
        if found != (settings.dim, settings.adadelta is not None, settings.dtype):
            raise ValueError(
                f"no_components, learning_schedule and dtype must be those of the first fit, {found[0]}, "
                f"{SCHEDULES[found[1]]} and {found[2]}; fit begins anew"
            )
        return users, items

    def _forget(self) -> None:
        self.__dict__.update(
            _users=None, _items=None, _known=None, _seed=0, _undone=None, epochs_=0, _steps=0, best_epoch_=None, history_={"loss": []}
        )

    def _settle(self) -> None:
        """Undo what an epoch that did not end has done."""
        undone = self._undone
        if undone is not None:
            _core.copy_all(*undone)
            self._undone = None

    def _tables(self) -> tuple[Table, Table]:
        """Those of users and items, as the last whole epoch has left them."""
        with self._lock:
            self._settle()
            if self._users is None or self._items is None:
                raise ValueError(f"this {type(self).__name__} is not fitted yet; call fit first")
            return self._users, self._items

    def __sklearn_is_fitted__(self) -> bool:
        return self._users is not None

    # -- what was learnt ---------------------------------------------------------------------------------------------

    def _state(self, side: int, slot: int, bias: bool) -> NDArray[Any]:
        table = self._tables()[side]
        if slot >= table.array.shape[1]:
            raise AttributeError("only Adadelta has means of squared steps")
        return table.biases(slot) if bias else table.components(slot)

    user_embeddings = property(lambda self: self._state(USERS, 0, False), doc="Components of users or their features.")
    user_biases = property(lambda self: self._state(USERS, 0, True), doc="Biases of users or their features.")
    item_embeddings = property(lambda self: self._state(ITEMS, 0, False), doc="Components of items or their features.")
    item_biases = property(lambda self: self._state(ITEMS, 0, True), doc="Biases of items or their features.")
    user_embedding_gradients = property(lambda self: self._state(USERS, 1, False), doc="Sums or means of squares.")
    user_bias_gradients = property(lambda self: self._state(USERS, 1, True), doc="Sums or means of squares.")
    item_embedding_gradients = property(lambda self: self._state(ITEMS, 1, False), doc="Sums or means of squares.")
    item_bias_gradients = property(lambda self: self._state(ITEMS, 1, True), doc="Sums or means of squares.")
    user_embedding_momentum = property(lambda self: self._state(USERS, 2, False), doc="Means of squared steps.")
    user_bias_momentum = property(lambda self: self._state(USERS, 2, True), doc="Means of squared steps.")
    item_embedding_momentum = property(lambda self: self._state(ITEMS, 2, False), doc="Means of squared steps.")
    item_bias_momentum = property(lambda self: self._state(ITEMS, 2, True), doc="Means of squared steps.")

    def _represented(self, side: int, given: Any, name: str) -> NDArray[Any]:
        """(n, stride) what users or items are, the bias behind the components."""
        table = self._tables()[side]
        if given is None:
            return np.ascontiguousarray(table.array[:, 0])
        found = features(name, given, 0, table.array.dtype)
        if found.shape[1] > table.rows:
            raise ValueError(f"{name} must have at most {table.rows} columns, as learnt; got shape {found.shape}")
        return _core.TableRows(found.shape[0], table.array, found.rows).representations()

    def _represented_by(self, *given: Features | None) -> list[NDArray[Any]]:
        """The same of users and of items, by features that were checked."""
        return [
            np.ascontiguousarray(table.array[:, 0])
            if found is None
            else _core.TableRows(found.shape[0], table.array, found.rows).representations()
            for table, found in zip(self._tables(), given, strict=True)
        ]

    def _vectors(self, side: int, given: Any, name: str) -> tuple[NDArray[Any], NDArray[Any]]:
        dim = self._tables()[side].dim
        found = self._represented(side, given, name)
        return found[:, dim].copy(), np.ascontiguousarray(found[:, :dim])

    def get_user_representations(self, features: Any = None) -> tuple[NDArray[Any], NDArray[Any]]:
        """Biases (users,) and vectors (users, no_components) of users with these features; None: of the table's rows."""
        return self._vectors(USERS, features, "features")

    def get_item_representations(self, features: Any = None) -> tuple[NDArray[Any], NDArray[Any]]:
        """Biases (items,) and vectors (items, no_components) of items with these features; None: of the table's rows."""
        return self._vectors(ITEMS, features, "features")

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
        of_users = self._represented(USERS, user_features, "user_features")
        of_items = self._represented(ITEMS, item_features, "item_features")
        codes("user_ids", users, len(of_users))
        codes("item_ids", items, len(of_items))
        with _limited(num_threads):
            return _core.pair_scores(
                of_users, of_items, self._tables()[0].dim, users.astype(np.int32), items.astype(np.int32)
            )

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
        from .ranking import places

        entries("test_interactions", test_interactions)
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
        from .ranking import of_factors, recommend

        _, of_users = self.get_user_representations(user_features)
        biases, of_items = self.get_item_representations(item_features)
        model = of_factors(of_users, of_items, biases)
        if flag("filter_seen", filter_seen) and seen is None and self._known is not None:
            seen = fitting.within(self._known, model.shape)
        return recommend(model, users, k, seen=seen, items=items, num_threads=num_threads)

    # -- files and pickles -------------------------------------------------------------------------------------------

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the ranker to a file, .npz or .safetensors, atomically; `schuss.recommend.load` reads it.

        A random_state that is no integer is saved as None, and a learning_rate that is a function is refused; the draws
        that follow are those that would have come.
        """
        with self._lock:
            users, items = self._tables()
            files.write(path, type(self).__name__, *files.of_ranker(self, users, items))

    def __getstate__(self) -> dict[str, Any]:
        with self._lock:
            self._settle()
            state = dict(self.__dict__)
        del state["_lock"]
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._lock = threading.RLock()


def _limited(num_threads: int | None) -> AbstractContextManager[Any]:
    return nullcontext() if num_threads is None else threads(integer("num_threads", num_threads, 1, MOST_THREADS))
