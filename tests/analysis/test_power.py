"""What a study of a given size can decide, before it is run."""

import math

import pytest
from helpers import small_results as small

from n2n_ablate import stats
from n2n_ablate.analysis.power import MeasuredSpread, measured_spread, power_of
from n2n_ablate.analysis.records import Metric
from n2n_ablate.analysis.study_records import Family, Scope
from n2n_ablate.report.text.power import power_lines
from n2n_ablate.study import Spread

PSNR = Metric("psnr", "dB", margin=0.05, decides=True)
NEAR = Spread(0.03, "six pilot images", 0.04)
FAR = Spread(0.4, "six pilot images", 0.1)


def power(spread, images=13, seeds=1, profile="quick", size=2):
    names = ("center=0", "center=0.2")
    family = Family(size, 1)
    return power_of(profile, names, family, PSNR, images, seeds, spread, held_out=True)


def test_the_spread_of_images_and_seeds_adds_up_and_more_seeds_narrow_it():
    assert NEAR.over_images(1) == pytest.approx(0.05)
    assert NEAR.over_images(4) == pytest.approx(math.sqrt(0.03**2 + 0.02**2))
    one, more = power(NEAR), power(NEAR, seeds=4)
    assert one.contrasts[0].spread == pytest.approx(0.05)
    assert one.equivalence == stats.equivalence_power(13, 2, 1.0) == pytest.approx(0.81, abs=0.02)
    assert more.equivalence > one.equivalence
    assert more.contrasts[0].detectable < one.contrasts[0].detectable
    assert power(NEAR, size=8).equivalence < one.equivalence


def test_with_the_largest_spread_that_is_named_the_power_is_just_enough():
    limit = power(None).spread_limit
    assert power(Spread(0.99 * limit, "")).equivalence >= 0.8
    assert power(Spread(1.01 * limit, "")).equivalence < 0.8


def test_one_image_decides_nothing():
    alone = power(NEAR, images=1)
    assert (alone.contrasts, alone.equivalence, alone.images_needed) == ((), None, None)
    assert (
        power_lines(alone, None)[1]
        == "One image gives no confidence interval, so nothing is decided."
    )


def test_a_run_shows_spreads_and_the_widest_stands_for_what_it_did_not_show(folder, registry):
    planned = small.planned(folder, registry)
    up, apart = [20.1, 25.2, 30.1, 22.2], [19.0, 27.0, 30.0, 21.0]
    found = measured_spread(small.analysis(small.made(planned, small.BASE, up, apart)))
    differences = [0.1, 0.2, 0.1, 0.2]
    sd = math.sqrt(sum((x - 0.15) ** 2 for x in differences) / 3)
    assert found.by_contrast["sampler.center=0.1"] == pytest.approx(stats.spread_limit(sd, 4))
    assert found.by_contrast["sampler.center=0.2"] > found.by_contrast["sampler.center=0.1"]
    widest = power(found).contrasts
    assert {each.spread for each in widest} == {found.by_contrast["sampler.center=0.2"]}
    three = [values[:3] for values in (small.BASE, up, apart)]
    few = small.made(planned, *three)
    assert measured_spread(small.analysis(few, images=3)) is None


def test_sentences_say_power_what_is_detected_and_the_assumption():
    heading, says, assumes = power_lines(power(NEAR), None)
    assert (
        heading == "Power for 2 contrasts on 13 held-out images with 1 seed (margin \u00b10.05 dB):"
    )
    share = round(100 * power(NEAR).equivalence)
    assert f"A true difference of zero is called equivalent in {share} % of such studies" in says
    seen = stats.detectable_effect(13, stats.Levels(2).critical(13)[0]) * 0.05
    assert f"a true difference of {seen:.3f} dB is called better or worse in 80 %" in says
    assert assumes.endswith("over images: 0.050 dB (six pilot images).")


def test_without_a_known_spread_it_says_which_one_would_do():
    _, says, why = power_lines(power(None), None)
    assert "standard deviation over images of at most 0.05" in says
    assert "no [spread]" in why


def test_a_profile_that_cannot_decide_names_the_one_that_can_or_says_that_none_does():
    quick, paper = power(NEAR, images=6), power(NEAR, images=16, seeds=3, profile="paper")
    last = power_lines(quick, paper)[-1]
    assert "--profile paper has" in last
    assert "(16 held-out images with 3 seeds)" in last
    last = power_lines(power(FAR), power(FAR, images=16, profile="paper"))[-1]
    assert "in every profile of this study (paper, 16 held-out images with 1 seed: 0 %" in last
    assert last.endswith("would take about 720 images.")
    assert "(paper" not in power_lines(power(FAR), None)[-1]


def test_contrasts_whose_spreads_differ_have_a_range():
    scope = Scope(8, 8, 8, 1, (96, 96), (96, 96), 500)
    known = MeasuredSpread({"center=0": 0.02, "center=0.2": 0.3}, scope, "quick")
    _, says, assumes, _ = power_lines(power(known), None)
    assert "equivalent in 0 to 100 % of such studies" in says
    assert "0.020 to 0.300 dB (upper end of the 80 % interval from the last run here" in assumes
