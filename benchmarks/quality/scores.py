"""What is measured on the test rows."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.metrics import accuracy_score, log_loss, r2_score, roc_auc_score, root_mean_squared_error

from .splits import Split

# By task: what models are ranked by. Less is better.
RANKED_BY = {"regression": "rmse", "classification": "log_loss"}


def regression(model: Any, rows: Split) -> dict[str, float]:
    """Return the scores of a fitted regressor."""
    predicted = np.asarray(model.predict(rows.X_test), dtype=float).reshape(-1)
    return {
        "rmse": float(root_mean_squared_error(rows.y_test, predicted)),
        "r2": float(r2_score(rows.y_test, predicted)),
    }


def classification(model: Any, rows: Split) -> dict[str, float]:
    """Return the scores of a fitted classifier; a probability of 0 counts as the smallest that scikit-learn knows."""
    predicted = np.asarray(model.predict_proba(rows.X_test), dtype=np.float64)
    predicted = predicted / predicted.sum(axis=1, keepdims=True)
    classes = np.asarray(model.classes_)
    truth = rows.y_test.to_numpy()
    scores = {
        "log_loss": float(log_loss(truth, predicted, labels=classes)),
        "accuracy": float(accuracy_score(truth, classes[predicted.argmax(axis=1)])),
    }
    if len(classes) == 2:
        scores["auc"] = float(roc_auc_score(truth == classes[1], predicted[:, 1]))
    return scores


SCORES = {"regression": regression, "classification": classification}
