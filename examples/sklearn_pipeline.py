"""Changing one import of a scikit-learn program: handwritten digits, scaled, through a grid search."""

import time

from sklearn.datasets import load_digits
from sklearn.model_selection import GridSearchCV, train_test_split
from sklearn.neural_network import MLPClassifier as Theirs
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler

from schuss.sklearn import MLPClassifier as Ours


def search(kind, X, y):
    """The best of four classifiers, and the seconds that it took."""
    pipe = make_pipeline(MinMaxScaler(), kind(random_state=0, max_iter=30, tol=0.02, n_iter_no_change=3))
    grid = {"mlpclassifier__hidden_layer_sizes": [(50,), (50, 50)], "mlpclassifier__alpha": [1e-4, 1e-1]}
    start = time.perf_counter()
    found = GridSearchCV(pipe, grid, cv=3).fit(X, y)
    return found, time.perf_counter() - start


def main():
    X, y = load_digits(return_X_y=True)
    X, X_test, y, y_test = train_test_split(X, y, random_state=0)
    for name, kind in (("scikit-learn", Theirs), ("schuss", Ours)):
        found, seconds = search(kind, X, y)
        best = ", ".join(f"{key.split('__')[1]}={value}" for key, value in found.best_params_.items())
        print(f"{name}: {seconds:.2f} s; {best}; cross-validated {found.best_score_:.4f}")
        print(f"  test accuracy {found.score(X_test, y_test):.4f}, last loss {found.best_estimator_[-1].loss_:.12f}")


if __name__ == "__main__":
    main()
