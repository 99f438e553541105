#!/usr/bin/env bash
# Surprise takes ratings of any scale and predicts nothing above 5, unless it is told the scale.
#
# Guess: ratings from 1 to 10 in a DataFrame give predictions from 1 to 10; or ratings outside the reader's scale are refused, or told.
# Seen with scikit-surprise 1.1.5: Reader() has the scale (1, 5), ratings of 6 to 10 are loaded and trained on without a word, and all predictions
# are clipped to 5: the error on the ratings trained on is 2.54 in place of 0.79. The model itself has learned right (clip=False).
#
#     Reader(): ratings to 10, mean 6.5; predictions to 5, root mean squared error 2.54
#     Reader(rating_scale=(1, 10)): predictions to 10, 0.79
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q scikit-surprise==1.1.5 numpy==2.4.6 scipy==1.17.1 pandas==3.1.1
"$folder/venv/bin/python" - <<'PY'
import warnings

import numpy as np
import pandas as pd
from surprise import SVD, Dataset, Reader

warnings.simplefilter("error")
rng = np.random.default_rng(0)
users, items = rng.integers(0, 100, 4000), rng.integers(0, 50, 4000)
ratings = np.clip(np.round(rng.normal(7, 2, 50)[items] + rng.normal(size=4000)), 1, 10)
frame = pd.DataFrame({"user": users, "item": items, "rating": ratings})


def fitted(reader, **options):
    rows = Dataset.load_from_df(frame, reader).build_full_trainset()
    model = SVD(random_state=0)
    model.fit(rows)
    found = np.array([model.predict(u, i, **options).est for u, i in zip(users, items)])
    return found.max(), np.sqrt(np.mean((found - ratings) ** 2))


most, error = fitted(Reader())
assert most == 5 and error > 2, (most, error)
print(f"Reader(): ratings to {ratings.max():.0f}, mean {ratings.mean():.1f}; predictions to {most:.0f}, root mean squared error {error:.2f}")
assert fitted(Reader(), clip=False)[1] < 1
most, error = fitted(Reader(rating_scale=(1, 10)))
assert error < 1
print(f"Reader(rating_scale=(1, 10)): predictions to {most:.0f}, {error:.2f}")
PY
