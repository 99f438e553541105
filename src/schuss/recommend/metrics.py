"""How well a model ranks what users turned out to like.

For each user all items are ranked by their scores, the highest first, items with equal scores by rising number; that is
the list that `recommend` gives. What is in ``train_interactions`` is left out of it. A *positive* is an entry of
``test_interactions`` that is greater than 0 and is not left out.

The functions have LightFM's names and arguments. Unlike there, equal scores are ranked as said, in place of all against
the model; a test entry that is negative, or left out, is no positive; and users are given to threads.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ..arguments import flag, integer
from .ranking import MOST_FIRST, places

if TYPE_CHECKING:
    from numpy.typing import NDArray


def precision_at_k(
    model: Any,
    test_interactions: Any,
    train_interactions: Any = None,
    k: int = 10,
    user_features: Any = None,
    item_features: Any = None,
    preserve_rows: bool = False,
    num_threads: int | None = 1,
    check_intersections: bool = True,
) -> NDArray[np.float64]:
    """The share of positives among each user's first k items.

    It is divided by k even where there are fewer items, as LightFM does.

    Parameters
    ----------
    model : object
        One with get_user_representations and get_item_representations, as those of this package and LightFM's; one with
        user_factors and item_factors, as implicit's; (user factors, item factors) or (user factors, item factors, item
        biases); or an array of all scores (users, items).
    test_interactions : sparse matrix (users, items), or (users, items, values)
        Entries need not be sorted; the values of one that is there twice are added up, as SciPy takes it.
    train_interactions : the same, optional
        Whose entries that are not 0 are left out of the ranking.
    k : int
        At least 1. It may exceed the number of items.
    user_features, item_features : optional
        What the model is asked with for its representations.
    preserve_rows : bool
        Whether users without a positive have a row in the result too: of 0, in `auc_score` of 1/2.
    num_threads : int or None
        None: as many as `schuss.get_num_threads` says. Results are the same.
    check_intersections : bool
        Whether to refuse test entries that are train entries too. Otherwise they are left out, like all of these.

    Returns
    -------
    array of float64 (users with a positive,), or (users,)

    Raises
    ------
    ValueError, TypeError
        If an argument is not as described, or something is not finite.

    Examples
    --------
    >>> import numpy as np
    >>> from schuss.recommend.metrics import precision_at_k
    >>> scores = np.array([[0.9, 0.5, 0.1], [0.2, 0.3, 0.4]])
    >>> precision_at_k(scores, ([0, 1], [0, 0]), k=1)
    array([1., 0.])
    >>> precision_at_k(scores, ([0, 1], [1, 0]), train_interactions=([0, 1], [0, 2]), k=1)
    array([1., 0.])
    """
    return _metric(
        "precision", model, test_interactions, train_interactions, k, user_features, item_features, preserve_rows,
        num_threads, check_intersections,
    )  # fmt: skip


def recall_at_k(
    model: Any,
    test_interactions: Any,
    train_interactions: Any = None,
    k: int = 10,
    user_features: Any = None,
    item_features: Any = None,
    preserve_rows: bool = False,
    num_threads: int | None = 1,
    check_intersections: bool = True,
) -> NDArray[np.float64]:
    """The share of each user's positives that are among the first k items.

    `precision_at_k` documents the arguments.

    Returns
    -------
    array of float64 (users with a positive,), or (users,)

    Examples
    --------
    >>> import numpy as np
    >>> from schuss.recommend.metrics import recall_at_k
    >>> recall_at_k(np.array([[0.9, 0.5, 0.1]]), ([0, 0], [0, 2]), k=2)
    array([0.5])
    """
    return _metric(
        "recall", model, test_interactions, train_interactions, k, user_features, item_features, preserve_rows,
        num_threads, check_intersections,
    )  # fmt: skip


def ndcg_at_k(
    model: Any,
    test_interactions: Any,
    train_interactions: Any = None,
    k: int = 10,
    user_features: Any = None,
    item_features: Any = None,
    preserve_rows: bool = False,
    num_threads: int | None = 1,
    check_intersections: bool = True,
    graded: bool = False,
) -> NDArray[np.float64]:
    """The normalised discounted cumulative gain of each user's first k items.

    The gain of a positive at place r, counted from 0, is divided by log2(r + 2); the sum by that of the best possible
    order. It is scikit-learn's ``ndcg_score(..., ignore_ties=True)`` but for the order of equal scores.

    `precision_at_k` documents the other arguments.

    Parameters
    ----------
    graded : bool
        Whether the gain of a positive is its value in test_interactions; else it is 1.

    Returns
    -------
    array of float64 (users with a positive,), or (users,)

    References
    ----------
    K. Järvelin, J. Kekäläinen, Cumulated gain-based evaluation of IR techniques, ACM TOIS 20(4) (2002).

    Examples
    --------
    >>> import numpy as np
    >>> from schuss.recommend.metrics import ndcg_at_k
    >>> ndcg_at_k(np.array([[0.9, 0.5, 0.1]]), ([0], [1])).round(4)
    array([0.6309])
    """
    return _metric(
        "ndcg", model, test_interactions, train_interactions, k, user_features, item_features, preserve_rows,
        num_threads, check_intersections, flag("graded", graded),
    )  # fmt: skip


def auc_score(
    model: Any,
    test_interactions: Any,
    train_interactions: Any = None,
    user_features: Any = None,
    item_features: Any = None,
    preserve_rows: bool = False,
    num_threads: int | None = 1,
    check_intersections: bool = True,
) -> NDArray[np.float64]:
    """The probability that a positive of the user scores higher than another item, equal scores counting one half.

    It is the area under the ROC curve, over all items that are not left out. A user who has no other items has 1/2.
    `precision_at_k` documents the arguments.

    Returns
    -------
    array of float64 (users with a positive,), or (users,)

    Examples
    --------
    >>> import numpy as np
    >>> from schuss.recommend.metrics import auc_score
    >>> auc_score(np.array([[0.9, 0.5, 0.1]]), ([0], [1]))
    array([0.5])
    """
    return _metric(
        "auc", model, test_interactions, train_interactions, 1, user_features, item_features, preserve_rows,
        num_threads, check_intersections,
    )  # fmt: skip


def _metric(
    name: str,
    model: Any,
    test_interactions: Any,
    train_interactions: Any,
    k: int,
    user_features: Any,
    item_features: Any,
    preserve_rows: bool,
    num_threads: int | None,
    check_intersections: bool,
    graded: bool = False,
) -> NDArray[np.float64]:
    k, preserve_rows = integer("k", k, 1, MOST_FIRST), flag("preserve_rows", preserve_rows)
    found, positives = places(
        model, test_interactions, train_interactions, user_features, item_features, num_threads, check_intersections
    )
    gains = np.ascontiguousarray(positives.values, np.float64) if graded else None
    values = found.metric(name, k, gains)
    if preserve_rows:
        return values
    users = np.repeat(np.arange(positives.shape[0]), np.diff(positives.start))
    return values[np.bincount(users[found.place >= 0], minlength=len(values)) > 0]
