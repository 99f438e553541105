"""Ratings from factors and biases of users and items."""

from __future__ import annotations

import copy
import os
from math import isfinite, sqrt
from time import perf_counter
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from .. import _core
from ..arguments import choice, flag, integer, number, shown
from ..arrays import check_finite, check_where, converted, real_array, seen_finite
from ..errors import DivergenceError
from ..files import header as checks
from ..files.networks import as_damage
from ..history import History
from ..progress import Progress
from ..training.early_stopping import Best, EarlyStopping
from . import saving
from .estimator import Estimator, seed_of
from .matrices import MOST, Compressed, Entries, codes, entries, of_entries
from .ranking import Representation, first_items

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from typing_extensions import Self

# Streams of random numbers.
_USERS, _ITEMS = 0, 1
# In this order everywhere: biases of users and items, factors of users and items.
_GROUPS = ("bu", "bi", "pu", "qi")
_RECORDED = ("loss", "rmse", "val_loss", "val_rmse")
_MOST_EPOCHS = 2**31


class _Settings(NamedTuple):
    """The constructor's arguments, checked."""

    n_factors: int
    epochs: int
    biased: bool
    init_mean: float
    init_std: float
    lr: tuple[float, ...]
    reg: tuple[float, ...]
    scale: tuple[float, float] | None
    shuffle: bool
    dtype: np.dtype[Any]


class _Tables(NamedTuple):
    """Everything that steps change, as windows of one array."""

    flat: NDArray[Any]
    user_biases: NDArray[Any]
    item_biases: NDArray[Any]
    user_factors: NDArray[Any]
    item_factors: NDArray[Any]

    @classmethod
    def of_zeros(cls, n_users: int, n_items: int, dim: int, dtype: np.dtype[Any]) -> _Tables:
        sizes = [n_users, n_items, n_users * dim, n_items * dim]
        starts = np.concatenate([[0], np.cumsum([-(-size // 16) * 16 for size in sizes])])
        flat = np.zeros(int(starts[-1]), dtype)
        bu, bi, p, q = (flat[start : start + size] for start, size in zip(starts, sizes, strict=False))
        return cls(flat, bu, bi, p.reshape(n_users, dim), q.reshape(n_items, dim))


class MatrixFactorization(Estimator):
    """Ratings of items by users, predicted from biases and factors: mean + b_u + b_i + p_u . q_i.

    It is what Surprise calls SVD, with its rule and its defaults: stochastic gradient descent on the squared error, one
    step a rating, with e = rating - prediction::

        b_u += lr (e - reg b_u)        p_u += lr (e q_i - reg p_u)
        b_i += lr (e - reg b_i)        q_i += lr (e p_u - reg q_i)

    all from the values before the step. Steps depend on one another, so they are made by one thread; predictions and
    `recommend` use all. Results are the same for any number of them, and on every machine.

    Parameters
    ----------
    n_factors : int
        Length of p_u and q_i.
    epochs : int
        Passes of `fit` over the ratings.
    lr : float
        Learning rate; >= 0.
    reg : float
        Of the penalty; >= 0.
    biased : bool
        Whether there are a mean and biases; without, ratings are p_u . q_i.
    init_mean, init_std : float
        Of the normal distribution that factors begin with. Biases begin at 0.
    lr_bu, lr_bi, lr_pu, lr_qi, reg_bu, reg_bi, reg_pu, reg_qi : float, optional
        In place of `lr` and `reg`, for biases of users and items and for factors of users and items.
    rating_scale : (float, float), optional
        The lowest and the highest rating, to which predictions are clipped. None: those of the ratings fitted to.
    shuffle : bool
        Whether each epoch takes the ratings in a new order, which follows from the seed and the epoch's number. Else it
        is the order given.
    dtype : {"float32", "float64"}
        Of everything that is learned.
    random_state : int, numpy.random.RandomState, numpy.random.Generator or None
        The seed of the first factors and of the orders; None: another one each time.

    Attributes
    ----------
    user_factors_, item_factors_ : array (users, n_factors), (items, n_factors)
        Zeros for who has no rating.
    user_biases_, item_biases_ : array (users,), (items,)
        The same.
    user_counts_, item_counts_ : array of int64 (users,), (items,)
        How many ratings of each have been fitted to, over all calls.
    mean_ : float
        The weighted mean of the ratings of the first fit.
    rating_scale_ : (float, float)
    n_epochs_ : int
        Passes made so far.
    history_ : History
        "loss" and "rmse", the mean squared error of an epoch, each rating's before its step, and its root; "val_loss"
        and "val_rmse", those of the validation ratings after the epoch, clipped.
    seed_ : int

    Notes
    -----
    Users and items are numbers from 0. Who has no rating, be its number within the tables or beyond, has a bias of 0
    and no factors: its prediction is the mean and the other one's bias, or the mean alone where neither is known
    (Surprise's choice). Without biases, a prediction for which the user or the item is not known is the mean of the
    ratings.

    The defaults, which are Surprise's, fit longer and with less of a penalty than is good for new ratings: on MovieLens
    100k, in five folds, the root of the mean squared error is 0.936 with them, as Surprise's is over several seeds, and
    0.910 with ``reg=0.1, epochs=80``.

    Each entry of a sparse matrix is a rating, zeros too if they are stored; one that is there twice is two ratings.

    References
    ----------
    Y. Koren, R. Bell, C. Volinsky, Matrix factorization techniques for recommender systems, Computer 42(8) (2009).

    Examples
    --------
    >>> import numpy as np
    >>> from schuss.recommend.factorization import MatrixFactorization
    >>> users, items = np.array([0, 0, 1, 1, 2]), np.array([0, 1, 0, 2, 2])
    >>> ratings = np.array([5.0, 3.0, 4.0, 1.0, 2.0])
    >>> model = MatrixFactorization(8, epochs=200, lr=0.02, random_state=0).fit((users, items, ratings))
    >>> model.predict(0, [0, 1]).round()
    array([5., 3.], dtype=float32)
    >>> found, scores = model.recommend([0, 2], k=2)
    >>> found
    array([[ 2, -1],
           [ 0,  1]])
    """

    user_factors_: NDArray[Any]
    item_factors_: NDArray[Any]
    user_biases_: NDArray[Any]
    item_biases_: NDArray[Any]
    user_counts_: NDArray[np.int64]
    item_counts_: NDArray[np.int64]
    mean_: float
    rating_scale_: tuple[float, float]
    n_epochs_: int
    history_: History
    seed_: int
    _seen: Compressed

    def __init__(
        self,
        n_factors: int = 100,
        *,
        epochs: int = 20,
        lr: float = 0.005,
        reg: float = 0.02,
        biased: bool = True,
        init_mean: float = 0.0,
        init_std: float = 0.1,
        lr_bu: float | None = None,
        lr_bi: float | None = None,
        lr_pu: float | None = None,
        lr_qi: float | None = None,
        reg_bu: float | None = None,
        reg_bi: float | None = None,
        reg_pu: float | None = None,
        reg_qi: float | None = None,
        rating_scale: tuple[float, float] | None = None,
        shuffle: bool = True,
        dtype: Any = "float32",
        random_state: Any = None,
    ) -> None:
        self.n_factors = n_factors
        self.epochs = epochs
        self.lr = lr
        self.reg = reg
        self.biased = biased
        self.init_mean = init_mean
        self.init_std = init_std
        self.lr_bu = lr_bu
        self.lr_bi = lr_bi
        self.lr_pu = lr_pu
        self.lr_qi = lr_qi
        self.reg_bu = reg_bu
        self.reg_bi = reg_bi
        self.reg_pu = reg_pu
        self.reg_qi = reg_qi
        self.rating_scale = rating_scale
        self.shuffle = shuffle
        self.dtype = dtype
        self.random_state = random_state

    # -- fitting -----------------------------------------------------------------------------------------------------

    def fit(
        self,
        X: Any,
        y: Any = None,
        sample_weight: Any = None,
        *,
        validation: Any = None,
        early_stopping: bool | int | EarlyStopping | None = None,
        verbose: int = 0,
    ) -> Self:
        """Fit to ratings, from the beginning.

        Parameters
        ----------
        X : sparse matrix (users, items), (users, items, ratings), or array of integers (n, 2)
            Ratings; with y, pairs of a user and an item.
        y : array (n,), optional
            The ratings of pairs.
        sample_weight : array (n,), optional
            Finite, >= 0: how often each rating counts, as a factor of its step's rates. One of weight 0 is left out.
        validation : the same as X, or (X, y), optional
            Ratings that are evaluated after each epoch.
        early_stopping : bool, int or EarlyStopping, optional
            True: ``EarlyStopping()``; an int: its patience. It looks at "val_loss".
        verbose : int
            0: silent; 1: a progress bar on stderr if that is a terminal, otherwise as 2; 2: a line an epoch.

        Returns
        -------
        MatrixFactorization
            Itself.

        Raises
        ------
        ValueError, TypeError
            If an argument is not as described. Nothing has changed.
        DivergenceError
            If errors or parameters were not finite after an epoch. Nothing has changed.
        KeyboardInterrupt
            On Ctrl-C, soon. What was learned until then is kept (the best of it with early stopping).
        """
        settings = self._settings()
        found, weights = _ratings(X, y, sample_weight)
        if not len(found.values):
            raise ValueError("X must have at least one rating; got none")
        seed = seed_of(self.random_state)
        values = found.values.astype(np.float64)
        # one after the other: NumPy's sums are cut as suits the machine
        total = np.cumsum(weights)[-1] if weights is not None else float(len(values))
        mean = float(np.cumsum(values if weights is None else values * weights)[-1] / total)
        empty = _of_tables(_Tables.of_zeros(0, 0, settings.n_factors, settings.dtype))
        begin = {
            **empty,
            "user_counts_": np.zeros(0, np.int64),
            "item_counts_": np.zeros(0, np.int64),
            "mean_": mean,
            "rating_scale_": settings.scale or (float(values.min()), float(values.max())),
            "n_epochs_": 0,
            "history_": History(),
            "seed_": seed,
            "_seen": of_entries(Entries(*(np.zeros(0, np.int64),) * 3, (0, 0)), False),
        }
        self._train(settings, begin, found, weights, settings.epochs, validation, early_stopping, verbose)
        return self

    def partial_fit(
        self,
        X: Any,
        y: Any = None,
        sample_weight: Any = None,
        *,
        epochs: int = 1,
        validation: Any = None,
        early_stopping: bool | int | EarlyStopping | None = None,
        verbose: int = 0,
    ) -> Self:
        """Go on with these ratings, from where the last fit stopped.

        New users and items get rows behind those that are there, whose bits stay as they are unless they have ratings
        here. What a new row begins with follows from the seed and its number. The mean stays; the scale grows where it
        is that of the ratings. Without a fit before, it is the same as `fit`.

        Parameters
        ----------
        X, y, sample_weight, validation, early_stopping, verbose
            As for `fit`. There may be no rating.
        epochs : int
            Passes over these ratings.

        Returns
        -------
        MatrixFactorization
            Itself.
        """
        epochs = integer("epochs", epochs, 1, _MOST_EPOCHS)
        if not self._is_fitted():
            wanted = copy.copy(self)
            wanted.epochs = epochs
            wanted.fit(X, y, sample_weight, validation=validation, early_stopping=early_stopping, verbose=verbose)
            self.__dict__.update({**wanted.__dict__, "epochs": self.epochs})
            return self
        settings = self._settings()
        if settings.n_factors != self.user_factors_.shape[1] or settings.dtype != self.user_factors_.dtype:
            raise ValueError(
                f"n_factors and dtype must stay {self.user_factors_.shape[1]} and {self.user_factors_.dtype} in "
                f"partial_fit; got {settings.n_factors} and {settings.dtype}"
            )
        found, weights = _ratings(X, y, sample_weight)
        begin = {**self.__dict__, "history_": copy.deepcopy(self.history_)}
        if settings.scale is not None:
            begin["rating_scale_"] = settings.scale
        elif len(found.values):
            low, high = self.rating_scale_
            begin["rating_scale_"] = min(low, float(found.values.min())), max(high, float(found.values.max()))
        self._train(settings, begin, found, weights, epochs, validation, early_stopping, verbose)
        return self

    def _settings(self) -> _Settings:
        """All arguments, checked."""
        scale = self.rating_scale
        if scale is not None:
            if not isinstance(scale, (tuple, list)) or len(scale) != 2:
                raise ValueError(f"rating_scale must be (lowest, highest) or None; got {shown(scale)}")
            low, high = (number(f"rating_scale[{k}]", value, "(-inf, inf)") for k, value in enumerate(scale))
            if low > high:
                raise ValueError(f"rating_scale must rise; got {shown(scale)}")
            scale = low, high
        dtype = self.dtype if isinstance(self.dtype, str) else np.dtype(self.dtype).name
        rates: dict[str, tuple[float, ...]] = {}
        for name in ("lr", "reg"):
            common = number(name, getattr(self, name), "[0, inf)")
            own = [(f"{name}_{group}", getattr(self, f"{name}_{group}")) for group in _GROUPS]
            rates[name] = tuple(common if value is None else number(key, value, "[0, inf)") for key, value in own)
        return _Settings(
            integer("n_factors", self.n_factors, 1, 2**20),
            integer("epochs", self.epochs, 1, _MOST_EPOCHS),
            flag("biased", self.biased),
            number("init_mean", self.init_mean, "(-inf, inf)"),
            number("init_std", self.init_std, "[0, inf)"),
            rates["lr"],
            rates["reg"],
            scale,
            flag("shuffle", self.shuffle),
            np.dtype(choice("dtype", dtype, ("float32", "float64"))),
        )

    def _train(
        self,
        settings: _Settings,
        begin: dict[str, Any],
        found: Entries,
        weights: NDArray[np.float64] | None,
        epochs: int,
        validation: Any,
        early_stopping: bool | int | EarlyStopping | None,
        verbose: int,
    ) -> None:
        """Epochs from a fitted state, which is left alone, to the next one, which becomes that of this estimator."""
        verbose = integer("verbose", int(verbose) if isinstance(verbose, bool) else verbose, 0, 2)
        held = None if validation is None else _held(validation)
        ratings = converted(found.values, settings.dtype)
        check_finite("ratings", ratings)
        own_weights = None if weights is None else converted(weights, settings.dtype)
        counts = [
            _grown(begin["user_counts_"], found.users, found.shape[0]),
            _grown(begin["item_counts_"], found.items, found.shape[1]),
        ]
        tables = _grown_tables(settings, begin, counts)
        best = Best.of(early_stopping, _RECORDED[: 2 if held is None else 4], tables.flat)
        core = _core_of(tables, settings.biased, begin["mean_"], settings)
        after = {
            **_of_tables(tables),
            "user_counts_": counts[0],
            "item_counts_": counts[1],
            "mean_": begin["mean_"],
            "rating_scale_": begin["rating_scale_"],
            "n_epochs_": begin["n_epochs_"],
            "history_": begin["history_"],
            "seed_": begin["seed_"],
            "_seen": _joined(begin["_seen"], found, (len(counts[0]), len(counts[1]))),
            "_biased": settings.biased,
        }
        history: History = after["history_"]
        history.stopped = None
        total = float(len(ratings)) if weights is None else float(np.cumsum(weights)[-1]) if len(weights) else 0.0
        progress = Progress(verbose, begin["n_epochs_"] + epochs, 1)
        order = np.arange(len(ratings))
        try:
            for _ in range(epochs):
                since, epoch = perf_counter(), after["n_epochs_"] + 1
                if settings.shuffle:
                    order = _core.permutation(len(ratings), after["seed_"], epoch)
                loss = core.epoch(found.users, found.items, ratings, own_weights, order) / total if total else 0.0
                if not isfinite(loss) or not seen_finite(tables.flat):
                    raise DivergenceError(
                        f"ratings' errors or factors were not finite in epoch {epoch}; try a lower lr than "
                        f"{max(settings.lr):g}",
                        epoch=epoch,
                        lr=max(settings.lr),
                        loss=loss,
                    )
                logs = {"loss": loss, "rmse": sqrt(loss)}
                if held is not None:
                    error = _loss(after, core, held)
                    logs.update(val_loss=error, val_rmse=sqrt(error))
                seconds = perf_counter() - since
                _core.in_turn(
                    [
                        (after.__setitem__, "n_epochs_", epoch),
                        *history._appending(epoch, seconds, max(settings.lr), logs),
                        *([] if best is None else best.looking(logs)),
                    ]
                )
                progress.epoch(epoch, seconds, logs)
                if best is not None and best.is_over:
                    history.stopped = "early_stopping"
                    break
            history.stopped = history.stopped or "finished"
        except KeyboardInterrupt:
            history.stopped = "interrupted"
            _core.in_turn([*([] if best is None else best.restoring), (self.__dict__.update, after)])
            raise
        finally:
            progress.close()
        if best is not None:
            history._monitor = best.monitor
        _core.in_turn([*([] if best is None else best.restoring), (self.__dict__.update, after)])

    # -- prediction --------------------------------------------------------------------------------------------------

    def predict(self, users: Any, items: Any = None, *, clip: bool = True) -> NDArray[Any]:
        """The ratings that users would give to items.

        Parameters
        ----------
        users, items : int or array of integers
            Which are broadcast against each other; without items, users is an array (n, 2) of both. Numbers beyond the
            tables are of unknown users and items.
        clip : bool
            Whether to clip to `rating_scale_`.

        Returns
        -------
        array
            Of the shape of the numbers, in the model's dtype.

        Raises
        ------
        ValueError, TypeError
            If a number is negative, or none.
        """
        self._check_fitted()
        clip = flag("clip", clip)
        if items is None:
            users, items = _pairs("users", users)
        try:
            given = np.broadcast_arrays(np.asarray(users), np.asarray(items))
        except ValueError:
            raise ValueError(
                f"users and items must have shapes that broadcast; got {np.shape(users)} and {np.shape(items)}"
            ) from None
        numbers, others = codes("users", given[0].ravel(), 2**62), codes("items", given[1].ravel(), 2**62)
        core = _core_of(self._tables(), self._biased, self.mean_)
        out = _predicted(self.__dict__, core, numbers, others, clip)
        return out.reshape(given[0].shape)

    def score(self, X: Any, y: Any = None, sample_weight: Any = None) -> float:
        """The root of the mean squared error of the clipped predictions, negative: more is better.

        Parameters
        ----------
        X, y, sample_weight
            As for `fit`.
        """
        self._check_fitted()
        found, weights = _ratings(X, y, sample_weight)
        if not len(found.values):
            raise ValueError("X must have at least one rating; got none")
        return -sqrt(_loss(self.__dict__, _core_of(self._tables(), self._biased, self.mean_), (found, weights)))

    def recommend(
        self,
        users: Any = None,
        k: int = 10,
        *,
        filter_seen: bool = True,
        items: Any = None,
        num_threads: int | None = None,
    ) -> tuple[NDArray[np.int64], NDArray[Any]]:
        """The items that each user would rate highest.

        Parameters
        ----------
        users : int or array of integers, optional
            None: all. To one that is not known, items are recommended by their biases.
        k : int
            How many. It may be more than there are.
        filter_seen : bool
            Whether to leave out what a user has rated.
        items : array of integers, optional
            The items to choose from, each once. None: all.
        num_threads : int, optional
            None: as many as `schuss.get_num_threads` says. Results are the same.

        Returns
        -------
        items : array of int64 (users, k), or (k,) for one user
            The best first; of those with equal scores the smallest number. Where a user has fewer items left, -1.
        scores : array (users, k), or (k,)
            The predictions, not clipped; NaN where the item is -1.
        """
        self._check_fitted()
        filter_seen = flag("filter_seen", filter_seen)
        n = len(self.user_factors_)
        numbers = np.arange(n) if users is None else codes("users", np.atleast_1d(users), 2**62)
        numbers = np.where(numbers < n, numbers, -1)
        found = Representation(self.user_factors_, self.item_factors_, self.item_biases_ if self._biased else None)
        best, scores = first_items(found, numbers, k, self._seen if filter_seen else None, items, num_threads)
        if self._biased:
            known = np.where(numbers < 0, 0, self.user_biases_[numbers]) if n else np.zeros(len(numbers))
            scores = scores + (self.mean_ + known).astype(scores.dtype)[:, None]
        return (best[0], scores[0]) if users is not None and np.ndim(users) == 0 else (best, scores)

    def get_user_representations(self, features: None = None) -> tuple[NDArray[Any], NDArray[Any]]:
        """Biases (users,) and factors (users, n_factors), copied; LightFM's name."""
        return self._representation(features, "user")

    def get_item_representations(self, features: None = None) -> tuple[NDArray[Any], NDArray[Any]]:
        """Biases (items,) and factors (items, n_factors), copied; LightFM's name."""
        return self._representation(features, "item")

    def _representation(self, features: Any, side: str) -> tuple[NDArray[Any], NDArray[Any]]:
        self._check_fitted()
        if features is not None:
            raise TypeError(f"features must be None for a {type(self).__name__}; got {shown(features)}")
        return getattr(self, f"{side}_biases_").copy(), getattr(self, f"{side}_factors_").copy()

    # -- files -------------------------------------------------------------------------------------------------------

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write everything that is needed to predict, to recommend and to go on.

        Parameters
        ----------
        path : str or path
            Ending in .npz or .safetensors. What is there is replaced as a whole.

        Raises
        ------
        ValueError
            If the model is not fitted.
        OSError
            If it cannot be written; the old file is still there.
        """
        self._check_fitted()
        arrays = {
            "user_biases": self.user_biases_,
            "item_biases": self.item_biases_,
            "user_factors": self.user_factors_,
            "item_factors": self.item_factors_,
            "user_counts": self.user_counts_,
            "item_counts": self.item_counts_,
            **saving.arrays_of_seen(self._seen),
        }
        numbers = {
            "mean": self.mean_,
            "scale": list(self.rating_scale_),
            "epochs": self.n_epochs_,
            "seed": self.seed_,
            "biased": self._biased,
        }
        saving.write(path, type(self).__name__, saving.Parts(self.get_params(), numbers, arrays, self.history_))

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Self:
        """Read a model from a file written by `save`.

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
            model = cls(**{**parts.params, "rating_scale": _as_tuple(parts.params.get("rating_scale"))})
            settings = model._settings()
            numbers = checks.record(_NUMBERS)("its numbers", dict(parts.numbers))
            counts = [content._arrays.get(f"{side}_counts", np.zeros(0)) for side in ("user", "item")]
            users, items = (array.size for array in counts)
            dim, dtype = settings.n_factors, settings.dtype
            state = {
                "user_counts_": content.pop("user_counts", (users,), np.int64),
                "item_counts_": content.pop("item_counts", (items,), np.int64),
                "user_biases_": content.pop("user_biases", (users,), dtype),
                "item_biases_": content.pop("item_biases", (items,), dtype),
                "user_factors_": content.pop("user_factors", (users, dim), dtype),
                "item_factors_": content.pop("item_factors", (items, dim), dtype),
            }
            seen = saving.seen_of(content, items)
            content.check_empty()
            if seen.shape[0] != users:
                raise ValueError(f"its seen rows are of {seen.shape[0]} users, expected {users}")
            # Copied: what a file holds lies anywhere, and is not to be written to.
            state = {key: np.array(array) for key, array in state.items()}
            for key, array in state.items():
                if not (array >= 0 if array.dtype == np.int64 else np.isfinite(array)).all():
                    raise ValueError(f"its array {key[:-1]!r} has a number that is not finite, or a negative count")
            low, high = numbers["scale"]
            if not (isfinite(numbers["mean"]) and isfinite(low) and isfinite(high) and low <= high):
                raise ValueError("its mean and scale must be finite numbers, and the scale rise")
        model.__dict__.update(
            state,
            mean_=numbers["mean"],
            rating_scale_=(low, high),
            n_epochs_=numbers["epochs"],
            seed_=numbers["seed"],
            history_=parts.history,
            _biased=numbers["biased"],
            _seen=seen,
        )
        return model

    # -- conventions -------------------------------------------------------------------------------------------------

    _biased: bool

    def _tables(self) -> _Tables:
        """The fitted arrays, whatever a caller has set."""
        return _Tables(self.user_biases_, self.user_biases_, self.item_biases_, self.user_factors_, self.item_factors_)

    def __sklearn_tags__(self) -> Any:
        from sklearn.utils import InputTags, RegressorTags, Tags, TargetTags

        return Tags(
            estimator_type="regressor",
            target_tags=TargetTags(required=True),
            regressor_tags=RegressorTags(),
            input_tags=InputTags(sparse=True),
        )


_NUMBERS: dict[str, checks.Check] = {
    "mean": checks.real,
    "scale": checks.array_of(checks.real, 2),
    "epochs": checks.whole(0, _MOST_EPOCHS),
    "seed": checks.whole(0, 2**64 - 1),
    "biased": checks.truth,
}


def _as_tuple(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


def _pairs(name: str, value: Any) -> tuple[NDArray[Any], NDArray[Any]]:
    """Users and items from an array (n, 2), or from two."""
    if isinstance(value, tuple) and len(value) == 2:
        return np.asarray(value[0]), np.asarray(value[1])
    array = np.asarray(value)
    if array.ndim != 2 or array.shape[1] != 2:
        raise ValueError(f"{name} must have shape (n, 2), a user and an item each; got {array.shape}")
    return array[:, 0], array[:, 1]


def _ratings(X: Any, y: Any, sample_weight: Any, name: str = "X") -> tuple[Entries, NDArray[np.float64] | None]:
    """Ratings, and their weights if not all are 1. Those of weight 0 are left out."""
    if y is not None:
        users, items = _pairs(name, X)
        found = entries(name, (users, items, y))
    else:
        if isinstance(X, (tuple, list)) and len(X) == 2:
            raise ValueError("X must be (users, items, ratings), or y the ratings of its pairs; got two arrays, no y")
        found = entries(name, X)
    if sample_weight is None:
        return found, None
    weights = real_array("sample_weight", sample_weight).astype(np.float64)
    if weights.shape != found.values.shape:
        raise ValueError(f"sample_weight must have shape {found.values.shape}; got {weights.shape}")
    check_finite("sample_weight", weights)
    check_where("sample_weight", weights, weights >= 0, ">= 0")
    kept = weights > 0
    if len(weights) and not kept.any():
        raise ValueError("sample_weight must be positive somewhere; got zeros alone")
    users, items, values, shape = found
    return Entries(users[kept], items[kept], values[kept], shape), weights[kept]


def _held(validation: Any) -> tuple[Entries, None]:
    """Ratings to validate with."""
    if isinstance(validation, (tuple, list)) and len(validation) == 2:
        found, _ = _ratings(validation[0], validation[1], None, "validation")
    else:
        found, _ = _ratings(validation, None, None, "validation")
    if not len(found.values):
        raise ValueError("validation must have at least one rating; got none")
    return found, None


def _grown(counts: NDArray[np.int64], numbers: NDArray[np.int64], least: int) -> NDArray[np.int64]:
    """Counts with those of other numbers added, for at least so many."""
    n = max(len(counts), least)
    if n >= MOST:
        raise ValueError(f"users and items must be fewer than {MOST}; got {n}")
    found = np.bincount(numbers, minlength=n)
    found[: len(counts)] += counts
    return found.astype(np.int64, copy=False)


def _of_tables(tables: _Tables) -> dict[str, NDArray[Any]]:
    """Tables by the names of an estimator's attributes."""
    return {
        "user_biases_": tables.user_biases,
        "item_biases_": tables.item_biases,
        "user_factors_": tables.user_factors,
        "item_factors_": tables.item_factors,
    }


def _grown_tables(settings: _Settings, begin: dict[str, Any], counts: list[NDArray[np.int64]]) -> _Tables:
    """Copies of tables with rows for more users and items; those that have ratings for the first time are drawn."""
    tables = _Tables.of_zeros(len(counts[0]), len(counts[1]), settings.n_factors, settings.dtype)
    for name, to in _of_tables(tables).items():
        to[: len(begin[name])] = begin[name]
    for side, stream, now, to in (
        ("user", _USERS, counts[0], tables.user_factors),
        ("item", _ITEMS, counts[1], tables.item_factors),
    ):
        before = np.zeros(len(now), np.int64)
        before[: len(begin[f"{side}_counts_"])] = begin[f"{side}_counts_"]
        new = np.flatnonzero((before == 0) & (now > 0))
        _core.draw_rows(to, new, settings.init_mean, settings.init_std, begin["seed_"], stream)
    return tables


def _core_of(tables: _Tables, biased: bool, mean: float, settings: _Settings | None = None) -> _core.Factors:
    """The core's own, for steps if there are settings."""
    lr, reg = ((0.0,) * 4,) * 2 if settings is None else (settings.lr, settings.reg)
    return _core.Factors(
        tables.user_factors,
        tables.item_factors,
        tables.user_biases if biased else None,
        tables.item_biases if biased else None,
        mean if biased else 0.0,
        lr,
        reg,
    )


def _joined(seen: Compressed, found: Entries, shape: tuple[int, int]) -> Compressed:
    """Which items users have rated, with those of other ratings."""
    users = np.repeat(np.arange(seen.shape[0]), np.diff(seen.start))
    both = [np.concatenate(pair) for pair in ((users, found.users), (seen.indices, found.items))]
    joined = of_entries(Entries(both[0], both[1], np.ones(len(both[0]), np.float32), shape), True)
    return joined._replace(values=np.ones(len(joined.indices), np.float32))


def _predicted(
    state: dict[str, Any], core: _core.Factors, users: NDArray[np.int64], items: NDArray[np.int64], clip: bool
) -> NDArray[Any]:
    """Predictions, of a fitted state."""
    out = core.predict(users, items)
    if not state["_biased"]:
        out[~(_known(state["user_counts_"], users) & _known(state["item_counts_"], items))] = state["mean_"]
    return np.clip(out, *state["rating_scale_"], out=out) if clip else out


def _known(counts: NDArray[np.int64], numbers: NDArray[np.int64]) -> NDArray[np.bool_]:
    within = numbers < len(counts)
    known = np.zeros(len(numbers), bool)
    known[within] = counts[numbers[within]] > 0
    return known


def _loss(state: dict[str, Any], core: _core.Factors, held: tuple[Entries, NDArray[np.float64] | None]) -> float:
    """The mean squared error of clipped predictions."""
    found, weights = held
    errors = found.values.astype(np.float64) - _predicted(state, core, found.users, found.items, True)
    squares = errors * errors
    if weights is None:
        return float(np.cumsum(squares)[-1] / len(squares))
    return float(np.cumsum(squares * weights)[-1] / np.cumsum(weights)[-1])
