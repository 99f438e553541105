"""One row in fifty is of the rare class: weights for the classes, and early stopping on the area under the curve."""

from sklearn.datasets import make_classification
from sklearn.metrics import recall_score, roc_auc_score
from sklearn.model_selection import train_test_split

from schuss.sklearn import MLPClassifier


def main():
    X, y = make_classification(
        6000, 20, n_informative=8, n_clusters_per_class=3, weights=[0.98], class_sep=0.8, flip_y=0.0, random_state=3
    )
    X, X_test, y, y_test = train_test_split(X, y, stratify=y, test_size=0.3, random_state=0)
    X, X_val, y, y_val = train_test_split(X, y, stratify=y, test_size=0.25, random_state=0)
    print(f"{len(y)} rows, {y.sum()} of the rare class; validation {len(y_val)}, {y_val.sum()}; test {len(y_test)}")

    common = {"hidden_layer_sizes": (64, 32), "alpha": 1e-2, "random_state": 0, "n_iter_no_change": 15}
    plain = MLPClassifier(**common).fit(X, y)
    weighted = MLPClassifier(class_weight="balanced", early_stopping=True, scoring="roc_auc", **common)
    weighted.fit(X, y, X_val=X_val, y_val=y_val)

    for name, clf in (("as it is", plain), ("weighted, stopped on ROC AUC", weighted)):
        auc = roc_auc_score(y_test, clf.predict_proba(X_test)[:, 1])
        recall = recall_score(y_test, clf.predict(X_test))
        print(f"{name}: {clf.n_iter_} epochs, ROC AUC {auc:.3f}, recall {recall:.2f}")
    best = max(weighted.validation_scores_)
    print(f"best validation ROC AUC {best:.3f}, in epoch {weighted.validation_scores_.index(best) + 1}")


if __name__ == "__main__":
    main()
