"""Items ranked for users, by what represents both: the first k of each, or the places of given ones.

All scores are made by blocks of products, looked at and forgotten: memory does not grow with users times items. Threads
take users one after the other, and no bit of a result depends on how many there are.
"""

from __future__ import annotations

from contextlib import nullcontext
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from .. import _core
from ..arguments import flag, integer, shown
from ..arrays import check_finite, real_array
from ..threads import MOST, threads
from .matrices import Compressed, codes, compressed

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from numpy.typing import NDArray

MOST_FIRST = 2**31


class Representation(NamedTuple):
    """What scores come from: user . item + item_bias, or themselves.

    Attributes
    ----------
    user, item : array (users, dim), (items, dim)
        Of one dtype, float32 or float64. None, if there are scores.
    item_bias : array (items,) or None
    scores : array (users, items) or None
    """

    user: NDArray[Any] | None
    item: NDArray[Any] | None
    item_bias: NDArray[Any] | None = None
    scores: NDArray[Any] | None = None

    @property
    def shape(self) -> tuple[int, int]:
        """How many users and items there are."""
        if self.scores is not None:
            return self.scores.shape[0], self.scores.shape[1]
        assert self.user is not None and self.item is not None
        return len(self.user), len(self.item)


def represented(model: Any, user_features: Any = None, item_features: Any = None) -> Representation:
    """What represents the users and items of a model.

    Parameters
    ----------
    model : object
        One with ``get_user_representations(features)`` and ``get_item_representations(features)``, each of which gives
        (biases, factors), as those of this package and LightFM's; one with ``user_factors`` and ``item_factors``, as
        implicit's; (user factors, item factors) or (user factors, item factors, item biases); or an array of all scores
        (users, items).
    user_features, item_features : optional
        What a model of the first kind is asked with.

    Raises
    ------
    ValueError, TypeError
        If it is none of these, its arrays do not fit together, or are not finite.
    """
    of_features = user_features is not None or item_features is not None
    if hasattr(model, "get_user_representations") and hasattr(model, "get_item_representations"):
        _, user = model.get_user_representations(*(() if user_features is None else (user_features,)))
        bias, item = model.get_item_representations(*(() if item_features is None else (item_features,)))
        return of_factors(user, item, bias)
    if of_features:
        raise TypeError(f"user_features and item_features must be None for a {type(model).__name__}")
    if hasattr(model, "user_factors") and hasattr(model, "item_factors"):
        return of_factors(model.user_factors, model.item_factors)
    if isinstance(model, (tuple, list)) and len(model) in (2, 3):
        return of_factors(*model)
    if isinstance(model, np.ndarray):
        scores = _real("model's scores", model, 2)
        return Representation(None, None, None, np.ascontiguousarray(scores, _dtype(scores)))
    raise TypeError(
        "model must have get_user_representations and get_item_representations, or user_factors and item_factors, or "
        "be (user factors, item factors[, item biases]) or an array of scores; got "
        f"{shown(model)} ({type(model).__name__})"
    )


def of_factors(user: Any, item: Any, item_bias: Any = None) -> Representation:
    """Factors, and biases of items, as the core takes them."""
    users, items = _real("user factors", user, 2), _real("item factors", item, 2)
    biases = None if item_bias is None else _real("item biases", item_bias, 1)
    if users.shape[1] != items.shape[1] or users.shape[1] < 1:
        raise ValueError(
            f"user and item factors must have as many columns, one at least; got shapes {users.shape} and {items.shape}"
        )
    if biases is not None and len(biases) != len(items):
        raise ValueError(f"item biases must be one an item, {len(items)}; got {len(biases)}")
    dtype = _dtype(users, items, *(() if biases is None else (biases,)))
    return Representation(
        np.ascontiguousarray(users, dtype),
        np.ascontiguousarray(items, dtype),
        None if biases is None else np.ascontiguousarray(biases, dtype),
    )


def _real(name: str, value: Any, ndim: int) -> NDArray[Any]:
    array = real_array(name, value)
    if array.ndim != ndim:
        raise ValueError(f"{name} must have {ndim} dimensions; got shape {array.shape}")
    check_finite(name, array)
    return array


def _dtype(*arrays: NDArray[Any]) -> np.dtype[Any]:
    """float32 where all are, else float64."""
    return np.dtype(np.float32 if all(array.dtype == np.float32 for array in arrays) else np.float64)


def limited(num_threads: int | None) -> AbstractContextManager[Any]:
    """A context with at most so many threads; None: as many as there are without it."""
    return nullcontext() if num_threads is None else threads(integer("num_threads", num_threads, 1, MOST))


def recommend(
    model: Any,
    users: Any = None,
    k: int = 10,
    *,
    seen: Any = None,
    items: Any = None,
    num_threads: int | None = None,
) -> tuple[NDArray[np.int64], NDArray[Any]]:
    """The best items for each user.

    Parameters
    ----------
    model : object
        As `represented` takes it; an array of scores is that of all users.
    users : int or array of integers, optional
        Whom to recommend to; None: all users. A number may come more than once.
    k : int
        How many items. It may be more than there are.
    seen : sparse matrix or (users, items), optional
        What is left out for whom: every entry that is not 0.
    items : array of integers, optional
        The items to choose from, each once. None: all.
    num_threads : int, optional
        None: as many as `schuss.get_num_threads` says. Results are the same.

    Returns
    -------
    items : array of int64 (users, k), or (k,) for one user
        The best first; of items with equal scores that of the smallest number. Where a user has fewer items left, -1.
    scores : array (users, k), or (k,)
        Without the user's own bias, which changes no order. NaN where the item is -1.

    Raises
    ------
    ValueError, TypeError
        If numbers are out of range, arrays do not fit together, or k < 1.

    Examples
    --------
    >>> import numpy as np
    >>> from schuss.recommend import ranking
    >>> user, item = np.array([[1.0, 0.0], [0.0, 1.0]]), np.array([[3.0, 1.0], [2.0, 2.0], [1.0, 3.0]])
    >>> found, scores = ranking.recommend((user, item), k=2, seen=([0], [0]))
    >>> found
    array([[1, 2],
           [2, 1]])
    >>> scores
    array([[2., 1.],
           [3., 2.]])
    """
    found = model if isinstance(model, Representation) else represented(model)
    n_users, n_items = found.shape
    chosen = None if users is None else codes("users", np.atleast_1d(users), n_users)
    left_out = None if seen is None else seen if isinstance(seen, Compressed) else None
    if seen is not None and left_out is None:
        left_out = compressed("seen", seen, (n_users, n_items), False)
    best, scores = first_items(found, chosen, k, left_out, items, num_threads)
    return (best[0], scores[0]) if np.ndim(users) == 0 and users is not None else (best, scores)


def first_items(
    model: Representation,
    users: NDArray[np.int64] | None,
    k: int,
    left_out: Compressed | None = None,
    items: Any = None,
    num_threads: int | None = None,
) -> tuple[NDArray[np.int64], NDArray[Any]]:
    """`recommend`, where users that are -1 have factors of zero and have seen nothing."""
    k = integer("k", k, 1, MOST_FIRST)
    n_items = model.shape[1]
    numbers = None if items is None else _chosen_items(items, n_items)
    user, item, bias, scores = model
    if scores is not None and users is not None:
        scores = scores[users]
    if numbers is not None:
        item = None if item is None else item[numbers]
        bias = None if bias is None else bias[numbers]
        scores = None if scores is None else np.ascontiguousarray(scores[:, numbers])
    places = None if left_out is None else left_out.places
    if scores is not None and places is None:
        users = None
    with limited(num_threads):
        ranking = _core.Ranking(user, item, bias, scores, users, places, n_items, numbers)
        # More than there are would be room for nothing.
        found, values = ranking.best(min(k, max(1, len(numbers) if numbers is not None else n_items)))
    return _widened(found, k, -1), _widened(values, k, np.nan)


def _widened(array: NDArray[Any], k: int, rest: float) -> NDArray[Any]:
    if array.shape[1] == k:
        return array
    out = np.full((len(array), k), rest, array.dtype)
    out[:, : array.shape[1]] = array
    return out


def _chosen_items(items: Any, n_items: int) -> NDArray[np.int64]:
    numbers = np.sort(codes("items", items, n_items))
    twice = numbers[1:] == numbers[:-1]
    if twice.any():
        raise ValueError(f"items must be different; {numbers[1:][twice][0]} is there twice")
    if not numbers.size:
        raise ValueError("items must be at least one; got none")
    return numbers


class Places:
    """Where the positives of each user lie among the items that are not left out for it.

    Parameters
    ----------
    model : Representation
    positives : Compressed
    left_out : Compressed, optional
        A positive that is left out is not one.
    num_threads : int, optional

    Attributes
    ----------
    place : array of int64 (entries of positives,)
        From 0, the best, on. Of items with equal scores that of the smallest number comes first. -1: left out.
    """

    def __init__(
        self,
        model: Representation,
        positives: Compressed,
        left_out: Compressed | None = None,
        num_threads: int | None = None,
    ) -> None:
        places = None if left_out is None else left_out.places
        with limited(num_threads):
            self._core = _core.Ranking(
                model.user, model.item, model.item_bias, model.scores, None, places, model.shape[1], None
            )
            self.place: NDArray[np.int64] = self._core.place(positives.places)

    def metric(self, name: str, k: int, gains: NDArray[np.float64] | None = None) -> NDArray[np.float64]:
        """One of precision, recall, ndcg and auc, of each user."""
        return self._core.metric(name, k, gains)


def places(
    model: Any,
    test_interactions: Any,
    train_interactions: Any = None,
    user_features: Any = None,
    item_features: Any = None,
    num_threads: int | None = None,
    check_intersections: bool = True,
) -> tuple[Places, Compressed]:
    """Where the positives of test_interactions lie, and they themselves; `metrics` documents the arguments."""
    found = represented(model, user_features, item_features)
    positives = compressed("test_interactions", test_interactions, found.shape, True)
    left_out = None
    if train_interactions is not None:
        left_out = compressed("train_interactions", train_interactions, found.shape, False)
        if flag("check_intersections", check_intersections):
            _check_apart(positives, left_out)
    return Places(found, positives, left_out, num_threads), positives


def _check_apart(test: Compressed, train: Compressed) -> None:
    """ValueError if an interaction is in both."""
    mine, theirs = (
        np.repeat(np.arange(x.shape[0]), np.diff(x.start)) * np.int64(x.shape[1]) + x.indices for x in (test, train)
    )
    both = np.intersect1d(mine, theirs, assume_unique=True)
    if both.size:
        user, item = divmod(int(both[0]), test.shape[1])
        raise ValueError(
            f"test_interactions and train_interactions must have none in common; {both.size} are in both, such as user "
            f"{user} and item {item}. check_intersections=False leaves them out of the test"
        )
