"""Films for people from what they have seen: BPR and WARP beside what is popular, new films by their genres.

``python examples/recommend.py [PICTURE.png]``. 600 people, 800 films and 24 000 views are made up: each film is of
one of five genres, each person likes some genres more, and some films are seen by everybody.
"""

import sys

import numpy as np
from scipy.sparse import csr_matrix, hstack, identity

from schuss.recommend import PairwiseRanker, auc_score, precision_at_k

PEOPLE, FILMS, NEW, VIEWS = 600, 800, 60, 24_000
GENRES = ("comedy", "crime", "drama", "space", "western")
EPOCHS = 15


def made_up(seed=0):
    """Who saw what, as a matrix (people, films) of ones, and the genre of each film."""
    draw = np.random.default_rng(seed)
    genre = draw.integers(0, len(GENRES), FILMS)
    taste = draw.normal(size=(PEOPLE, len(GENRES)))
    own = 0.4 * draw.normal(size=(PEOPLE, 3)) @ draw.normal(size=(3, FILMS))  # what no genre tells
    popular = -0.9 * np.log(draw.permutation(FILMS) + 8)
    odds = np.exp(popular + 1.6 * taste[:, genre] + own)
    chance = odds / odds.sum(axis=1, keepdims=True) / draw.exponential(size=odds.shape)
    chance *= draw.gamma(1.5, size=(PEOPLE, 1)).clip(0.3)
    # Who sees everything and who sees next to nothing: the largest of all are the views.
    people, films = np.unravel_index(np.argsort(chance, axis=None)[-VIEWS:], chance.shape)
    return csr_matrix((np.ones(VIEWS, np.float32), (people, films)), shape=odds.shape), genre


def parts(views, new, seed=1):
    """Views that train, those that test, and all views of new films, of which nothing trains."""
    people, films = views.nonzero()
    of_new = np.isin(films, new)
    tested = (np.random.default_rng(seed).random(len(films)) < 0.2) & ~of_new
    return [
        csr_matrix((np.ones(chosen.sum(), np.float32), (people[chosen], films[chosen])), shape=views.shape)
        for chosen in (~tested & ~of_new, tested, of_new)
    ]


def trained(loss, train, test, **features):
    """A ranker, and after each epoch the share of its first ten that are right."""
    model = PairwiseRanker(no_components=16, loss=loss, random_state=0)
    right = []
    for _ in range(EPOCHS):
        model.fit_partial(train, epochs=1, **features)
        right.append(float(precision_at_k(model, test, train, k=10, **features).mean()))
    return model, right


def among(model, views, new, features=None):
    """How often a new film that one sees stands above a new one that one does not see."""
    _, people = model.get_user_representations()
    biases, films = model.get_item_representations(features)
    return float(auc_score((people, films[new], biases[new]), views[:, new]).mean())


def popular(train, test):
    """The share of the ten most seen films, but those that one has seen, that is right."""
    seen, wanted = train.toarray() > 0, test.toarray() > 0
    counts = np.where(seen, -1.0, seen.sum(axis=0))
    first = np.argsort(-counts, axis=1, kind="stable")[:, :10]
    return float(np.take_along_axis(wanted, first, axis=1)[wanted.any(axis=1)].mean())


def main(picture=None):
    views, genre = made_up()
    new = np.random.default_rng(2).choice(FILMS, NEW, replace=False)
    train, test, of_new = parts(views, new)
    print(f"{train.nnz} views train, {test.nnz} test, {of_new.nnz} are of {NEW} new films")

    base = popular(train, test)
    print(f"popular    precision of the first ten {base:.3f}")
    curves = {}
    for loss in ("bpr", "warp"):
        model, curves[loss] = trained(loss, train, test)
        print(f"{loss:<10} precision of the first ten {curves[loss][-1]:.3f}")

    # A film is its own number and its genre: what is learned of the genre holds for films that nobody has seen.
    films = hstack([identity(FILMS), csr_matrix(np.eye(len(GENRES))[genre])], format="csr", dtype=np.float32)
    with_genres, _ = trained("warp", train, test, item_features=films)
    plain, known = among(model, of_new, new), among(with_genres, of_new, new, films)
    print(f"new films among themselves: AUC {plain:.3f} by their numbers, {known:.3f} with their genres")

    person = int(np.argmax(train.getnnz(axis=1)))
    seen = np.bincount(genre[train[person].indices], minlength=len(GENRES))
    best, _ = model.recommend(person, k=10)
    print("person", person, "has seen", ", ".join(f"{n} {name}" for n, name in zip(seen, GENRES, strict=True)))
    print("and should see", ", ".join(GENRES[genre[k]] for k in best))
    if picture is not None:
        draw(picture, model, curves, base, genre, train, test)


def draw(picture, model, curves, base, genre, train, test):
    import matplotlib.pyplot as plt

    figure, (progress, alike, people) = plt.subplots(1, 3, figsize=(14, 4.3), layout="constrained")
    for loss, right in curves.items():
        progress.plot(np.arange(1, EPOCHS + 1), right, marker=".", label=loss)
    progress.axhline(base, color="gray", ls="--", label="what is popular")
    progress.set(xlabel="epoch", ylabel="share of the first ten that is right", title="Views that were held out")
    progress.legend()

    seen = train.getnnz(axis=0) > 4  # of others next to nothing is known
    vectors = model.item_embeddings[seen] - model.item_embeddings[seen].mean(axis=0)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    of_genre = np.array([vectors[genre[seen] == k].mean(axis=0) for k in range(len(GENRES))])
    image = alike.imshow(of_genre @ of_genre.T, cmap="magma")
    figure.colorbar(image, ax=alike, label="mean cosine of two films' vectors")
    places = range(len(GENRES))
    alike.set(xticks=places, xticklabels=GENRES, yticks=places, yticklabels=GENRES, xlabel="genre", ylabel="genre")
    alike.set_title("What the vectors know of genres; none was told")

    area = auc_score(model, test, train, preserve_rows=True)
    counts, tested = train.getnnz(axis=1), test.getnnz(axis=1) > 0
    people.scatter(counts[tested], area[tested], s=5, alpha=0.6)
    people.set(xlabel="views of a person that train", ylabel="AUC", xscale="log", title="Each person's own views")
    figure.savefig(picture, dpi=110)
    print(f"wrote {picture}")


if __name__ == "__main__":
    main(*sys.argv[1:])
