#!/usr/bin/env bash
# implicit's recommend fills a list with what the user has already liked, and then with item 0 again and again, although it is asked to filter.
#
# Guess: with filter_already_liked_items=True (the default) a user who has liked all items but two gets a list of these two, or places
# that say that they are empty (an id of -1, a masked array), and no item twice.
# Seen with implicit 0.7.3: the two, then items that the user has liked, whose score is -3.4e38, the least of float32; of N = 40 places for 30 items
# the last ten are all item 0. Whoever shows the ids without looking at the scores recommends what was bought. Both rankers do it.
#
#     AlternatingLeastSquares: 5 places, 2 items are left, 3 of the list were liked
#     AlternatingLeastSquares: 40 places, 30 items, item 0 stands there 11 times
#     BayesianPersonalizedRanking: 5 places, 2 items are left, 3 of the list were liked
#     BayesianPersonalizedRanking: 40 places, 30 items, item 0 stands there 11 times
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q implicit==0.7.3 scipy==1.17.1 numpy==2.4.6
OPENBLAS_NUM_THREADS=1 "$folder/venv/bin/python" - <<'PY'
import warnings

import numpy as np
from scipy.sparse import csr_matrix

warnings.simplefilter("ignore")
from implicit.als import AlternatingLeastSquares
from implicit.bpr import BayesianPersonalizedRanking

liked = (np.random.default_rng(0).random((50, 30)) < 0.2).astype(np.float32)
liked[0] = 1
liked[0, [3, 7]] = 0
rows = csr_matrix(liked)
for kind in (AlternatingLeastSquares, BayesianPersonalizedRanking):
    model = kind(factors=4, random_state=0, num_threads=1)
    model.fit(rows, show_progress=False)
    ids, scores = model.recommend(0, rows[0], N=5)
    again = [int(k) for k in ids if liked[0, k]]
    assert sorted(ids[:2]) == [3, 7] and len(again) == 3 and (scores[2:] < -3e38).all(), (ids, scores)
    print(f"{kind.__name__}: 5 places, 2 items are left, {len(again)} of the list were liked")
    ids, _ = model.recommend(0, rows[0], N=40)
    assert len(ids) == 40 and (ids == 0).sum() == 11, ids
    print(f"{kind.__name__}: 40 places, 30 items, item 0 stands there {(ids == 0).sum()} times")
PY
