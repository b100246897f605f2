"""Response curves: known answers, what cannot be drawn, and how often bands hold."""

import math

import numpy as np
import pytest
from scipy import stats as scipy_stats

from n2n_ablate.stats import response, t_critical
from n2n_ablate.stats.response import chance, critical, path

PLACES = np.linspace(0, 1, 8)


def arms(places, truth, images=6, spread=0.3, noise=0.02, seed=0):
    """Return values per image of trials at places; images differ by the size of the effect."""
    rng = np.random.default_rng(seed)
    effect = 1 + spread * rng.standard_normal(images)
    levels = rng.normal(28, 3, images)
    return [
        {
            f"image-{k}": levels[k] + effect[k] * truth(place) + noise * rng.standard_normal()
            for k in range(images)
        }
        for place in places
    ]


# How wide a band is


def test_without_a_length_the_band_is_a_t_interval():
    assert critical(0.95, 6) == t_critical(0.95, 6)
    assert chance(t_critical(0.9, 6), 6) == pytest.approx(0.1)
    assert math.isinf(critical(0.95, 1, 1.0))
    assert math.isinf(critical(0.95, 2, 1.0))


@pytest.mark.parametrize("images", [4, 6, 24])
@pytest.mark.parametrize("c", [2.5, 6.0])
def test_the_chance_along_a_circle_is_hotellings(images, c):
    # The largest t of a cos(x) + b sin(x) over half a turn is the root of Hotelling's T2 in two
    # dimensions; a closed way has no ends, so the p of one place goes.
    df = images - 1
    exact = scipy_stats.f.sf(c**2 * (df - 1) / (2 * df), 2, df - 1)
    found = chance(c, images, length=math.pi) - chance(c, images)
    assert found == pytest.approx(exact)


def test_lengths_of_unit_vectors_worked_by_hand():
    turn = np.array([[1.0, 0, 0], [0, 1, 0], [0, 0, 1]])
    assert path(turn) == pytest.approx(2 * math.sqrt(2))
    assert path(np.array([[1.0, 0], [-1, 0]])) == 0  # only the sign turns


# A curve


def test_straight_lines_are_met_exactly_and_the_interval_is_that_of_the_images():
    slopes = [0.5, -1.0, 2.0, 0.1]
    trials = [{f"{k}": 20 + slope * x for k, slope in enumerate(slopes)} for x in PLACES]
    found = response(PLACES, trials, trials[0])
    assert found.mean == pytest.approx(np.mean(slopes) * found.grid, abs=1e-9)
    spread = np.std(slopes, ddof=1) / 2
    assert found.pointwise == pytest.approx(t_critical(0.95, 4) * spread * found.grid, abs=1e-5)
    assert (found.half_width >= found.pointwise).all()


def test_a_curve_says_where_its_best_lies_and_what_cannot_be_told_from_it():
    found = response(PLACES, arms(PLACES, lambda x: -4 * (x - 0.4) ** 2), arms([0.4], abs)[0])
    assert found.best == pytest.approx(0.4, abs=0.05)
    ((low, high),) = found.stretches
    assert 0.2 < low <= 0.4 <= high < 0.6
    assert not found.at_edge


def test_a_best_place_at_the_end_may_lie_beyond_it():
    found = response(PLACES, arms(PLACES, lambda x: -2 * x), arms([0], lambda x: x)[0])
    assert found.best == 0
    assert found.at_edge


def test_a_best_that_can_be_told_from_all_others_is_not_told_from_itself():
    steep = arms(PLACES, lambda x: -200 * x)
    found = response(PLACES, steep, steep[0])
    assert found.stretches == ((0.0, 0.0),)
    assert found.at_edge


def test_a_logarithmic_parameter_is_smoothed_on_its_own_scale():
    places = np.geomspace(1e-4, 1e-1, 9)
    trials = arms(places, lambda x: -((math.log10(x) + 2.5) ** 2), noise=0.01)
    found = response(places, trials, trials[0], log=True)
    assert found.grid == pytest.approx(np.geomspace(1e-4, 1e-1, 101))
    assert math.log10(found.best) == pytest.approx(-2.5, abs=0.1)
    with pytest.raises(ValueError, match="above 0"):
        response([0, *places], [trials[0], *trials], trials[0], log=True)


def test_a_gap_between_places_widens_the_band():
    places = np.array([0, 0.1, 0.2, 0.3, 0.4, 0.9, 1.0])
    trials = arms(places, lambda x: np.sin(6 * x), spread=0, noise=0.01)
    found = response(places, trials, trials[0])
    at = lambda x: found.half_width[np.abs(found.grid - x).argmin()]
    assert at(0.65) > 2 * at(0.25)


def test_failed_fits_cost_places_or_images_and_are_counted():
    trials = arms(PLACES, lambda x: -x)
    trials[3] = {"image-0": trials[3]["image-0"], "image-1": math.nan}
    del trials[5]["image-2"]
    found = response(PLACES, trials, trials[0])
    assert (found.images, found.lost_images) == (5, 1)
    assert found.places == pytest.approx(np.delete(PLACES, 3))


def test_a_place_tried_twice_counts_once():
    trials = arms(PLACES, lambda x: -x)
    twice = response([*PLACES, PLACES[2]], [*trials, trials[2]], trials[0])
    once = response(PLACES, trials, trials[0])
    assert twice.places.tolist() == once.places.tolist()
    assert twice.mean == pytest.approx(once.mean)


def test_what_cannot_be_drawn_is_not_drawn():
    trials = arms(PLACES, lambda x: -x)
    assert response(PLACES[:4], trials[:4], trials[0]) is None
    assert response(PLACES, [{} for _ in PLACES], trials[0]) is None
    alone = [{"image-0": trial["image-0"]} for trial in trials]
    for found in (response(PLACES, alone, alone[0]), response(PLACES, [trials[0]] * 8, trials[0])):
        assert np.isinf(found.half_width).all()
        assert found.near_best.all()


# How often it holds


@pytest.mark.parametrize(("images", "places"), [(6, 7), (12, 10)])
def test_bands_hold_the_whole_curve_and_the_set_holds_its_best_place(images, places):
    truth = lambda x: -1.5 * (x - 0.3) ** 2 - 0.3 * x
    rng = np.random.default_rng(images)
    whole, single, best, rounds = 0, 0.0, 0, 40
    for number in range(rounds):
        at = np.concatenate([[0, 1], rng.random(places - 2)])
        trials = arms(at, truth, images, noise=0.04, seed=1000 * images + number)
        found = response(at, trials, trials[2])
        miss = np.abs(found.mean - truth(found.grid) + truth(at[2]))
        whole += (miss <= found.half_width).all()
        single += (miss <= found.pointwise).mean()
        best += found.near_best[truth(found.grid).argmax()]
    assert whole / rounds >= 0.9
    assert single / rounds >= 0.9
    assert best / rounds >= 0.95
