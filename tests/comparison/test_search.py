"""Halving's books: which rates are trained for how long."""

from __future__ import annotations

from math import inf

import pytest

from schuss.comparison.search import BESIDE, FARTHEST, Found, rungs, search


def searched(loss, points=16):
    """What a search finds, and all that it asked for, where loss(place, points) is what comes of it."""
    asking = search(points)
    asked = []
    ask = next(asking)
    while True:
        asked.append(ask)
        try:
            ask = asking.send({place: loss(place, ask.points) for place in ask.places})
        except StopIteration as end:
            return end.value, asked


def test_rungs_double_up_to_all():
    assert rungs(64) == [8, 16, 32, 64]
    assert rungs(16) == [2, 4, 8, 16]
    assert rungs(5) == [1, 2, 3, 5]
    assert rungs(2) == [1, 2]
    assert rungs(1) == [1]


@pytest.mark.parametrize("best", [0, 3, -2])
def test_the_best_of_a_valley_is_found_with_few_long_trainings(best):
    found, asked = searched(lambda place, points: (place - best) ** 2 + 1 / points)
    assert found.place == best
    longest = {place for ask in asked if ask.points == 16 for place in ask.places}
    assert {best - 1, best, best + 1} <= longest and len(longest) <= 4
    first = next(iter(asked))
    assert first.places == tuple(range(-BESIDE, BESIDE + 1)) and first.points == 2 and first.goes_on
    # All points that are trained, each rate going on from what it had.
    done, trained = {}, 0
    for ask in asked:
        for place in ask.places:
            trained += ask.points - done.get(place, 0)
            done[place] = ask.points
    assert trained < 16 * 9 / 2


@pytest.mark.parametrize("best", [-11, 9])
def test_the_ladder_grows_where_the_best_is_at_its_edge(best):
    found, asked = searched(lambda place, points: abs(place - best))
    assert found.place == best
    assert all(ask.points == 2 for ask in asked[:3])
    assert [ask.goes_on for ask in asked[:3]] == [True, False, False]


def test_the_ladder_ends_somewhere():
    for sign in (1, -1):
        found, asked = searched(lambda place, points, sign=sign: -sign * place)
        assert found.place == sign * FARTHEST
        assert all(abs(place) <= FARTHEST for ask in asked for place in ask.places)


def test_what_misled_in_short_trainings_is_put_right():
    """Rates that are large are good at first, small ones in the end."""
    found, asked = searched(lambda place, points: abs(place + 4) if points == 16 else abs(place - 4) + 1)
    assert found.place == -4
    # Those that had left begin anew, beside the best so far, without ending what else is trained.
    last = [ask for ask in asked if ask.points == 16]
    assert [ask.goes_on for ask in last] == [True] + [False] * (len(last) - 1) and len(last) > 2


def test_rates_that_diverge_do_not_go_on():
    found, asked = searched(lambda place, points: inf if place > -2 else -place)
    assert found.place == -2
    assert all(place <= -1 for ask in asked if ask.points > 2 for place in ask.places)


def test_where_all_diverge_lower_ones_are_tried():
    found, asked = searched(lambda place, points: inf if place > -7 else 1.0 - place)
    assert found.place == -7
    assert asked[1].places == (-5, -6, -7, -8)


def test_where_all_diverge_late_lower_ones_are_tried():
    found, _ = searched(lambda place, points: inf if points > 4 and place > -9 else float(abs(place)))
    assert found.place == -9


def test_nothing_but_divergence():
    found, asked = searched(lambda place, points: inf)
    assert found.place is None
    assert min(place for ask in asked for place in ask.places) == -FARTHEST


def test_of_equals_the_lowest_is_taken():
    found, _ = searched(lambda place, points: 1.0)
    _, again = searched(lambda place, points: 1.0)
    assert found.place == searched(lambda place, points: 1.0)[0].place
    assert again[0].places[0] == -BESIDE


def test_the_band_is_of_rates_nearly_as_good_and_without_gaps():
    found = Found(1, {2: {-4: 1.0, -3: 9.0, -2: 1.4, -1: 1.0, 0: 1.1, 1: 1.0, 2: 1.3, 3: 9.0}, 4: {0: 0.5, 1: 0.4}})
    # From 10: a twentieth of the way down to the best after as many points is 0.45 and 0.48 here.
    assert found.band(10.0) == (-2, 2)
    assert found.band(10.0)[0] > -4  # beyond a bad one
    assert Found(0, {1: {-1: 2.0, 0: 1.0, 1: 1.0}}).band(0.5) == (0, 1)  # nothing has gone down
