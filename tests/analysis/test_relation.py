"""What is said about leak, gap and loss follows from the data and goes no further."""

import math
from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from n2n_ablate.analysis.condition import ranked_by_loss
from n2n_ablate.analysis.study_records import LossGuide
from n2n_ablate.diagnostics.relation import (
    Point,
    mean_over_images,
    relation,
    relations,
)
from n2n_ablate.report.figures.axes import of_trials
from n2n_ablate.report.figures.diagnostics import psnr_by_diagnostics
from n2n_ablate.report.text.diagnostics import relation_text
from n2n_ablate.report.text.study import loss_text
from n2n_ablate.stats import Interval, ranking

IMAGES = [f"image-{place}" for place in range(6)]


def points(psnr, leaks, gaps, images=IMAGES):
    """Images differ by 3 dB each, which must not matter."""
    return [
        Point(f"trial-{t}", image, 20 + 3 * i + psnr(t, i), leak, gap)
        for i, image in enumerate(images)
        for t, (leak, gap) in enumerate(zip(leaks, gaps, strict=True))
    ]


def test_psnr_that_falls_with_leak_is_told():
    # On one image two neighbours change places: Spearman -0.8 there, -1 on the other five.
    swapped = points(
        lambda t, i: -[0, 1, 3, 2][t] if i == 0 else -t, [0, 0.1, -0.3, 0.9], [5, 4, 6, 5]
    )
    found = relation(swapped, "leak")
    ranks = [-0.8, -1, -1, -1, -1, -1]
    ends = stats.t.interval(0.95, 5, np.mean(ranks), stats.sem(ranks))
    assert (found.rank.value, found.rank.high) == pytest.approx((np.mean(ranks), ends[1]))
    assert found.rank.low == -1  # no correlation lies beyond
    assert found.rank.images == 6
    assert relation_text(found) == (
        "On the same image, trials with more leak tend to have lower PSNR (mean rank correlation "
        "\u22120.97, 95 % CI \u22121.00 to \u22120.88; 4 trials, 6 images). The trials differ in other ways "
        "too, so this need not be the cause."
    )


def test_equal_values_on_all_images_have_no_interval():
    found = relation(points(lambda t, i: -t, [0, 0.1, -0.3, 0.9], [5, 4, 6, 5]), "leak")
    assert (found.rank.value, found.rank.sign, found.rank.same) == (pytest.approx(-1), 0, True)
    assert math.isnan(found.rank.low)
    assert relation_text(found) == (
        "On each of the 6 images the rank correlation of PSNR with leak is \u22121.00 (4 trials)."
    )


def test_the_rank_correlation_is_the_mean_of_spearmans_within_images():
    rng = np.random.default_rng(0)
    noise = rng.normal(size=(7, 6))
    gaps = rng.uniform(2, 20, 7)
    found = relation(points(lambda t, i: noise[t, i] - 0.1 * gaps[t], [0] * 7, gaps), "gap")
    own = [
        stats.spearmanr(gaps, [noise[t, i] - 0.1 * gaps[t] for t in range(7)]).statistic
        for i in range(6)
    ]
    assert found.rank.value == pytest.approx(np.mean(own))
    assert found.rank.low < found.rank.value < found.rank.high


def test_no_relation_is_called_none():
    noise = np.random.default_rng(1).normal(size=(8, 6))
    found = relation(points(lambda t, i: noise[t, i], [0] * 8, range(8)), "gap")
    assert found.rank.sign == 0
    assert "no clear relation" in relation_text(found)
    assert "tend to" not in relation_text(found)


def test_what_cannot_be_told_is_not():
    same = relation(points(lambda t, i: -t, [0, 0, 0, 0], [1, 2, 3, 4]), "leak")
    assert (same.rank.images, math.isnan(same.rank.value)) == (0, True)
    assert relation_text(same) == relation_text(relation([], "gap")) == ""
    two = relation(points(lambda t, i: -t, [0, 0.5], [1, 2]), "leak")
    assert two.rank.images == 0
    lone = relation(points(lambda t, i: -t, [0, 0.2, 0.5], [1, 2, 3], IMAGES[:1]), "leak")
    assert (lone.rank.value, lone.rank.sign) == (-1, 0)
    assert "CI" not in relation_text(lone)
    assert "tend to" not in relation_text(lone)


def test_a_fit_that_failed_is_left_out():
    own = points(lambda t, i: -t, [0, 0.1, 0.2, 0.3], [1, 2, 3, 4])
    own += [Point("broken", image, math.nan, 0.9, 5) for image in IMAGES]
    assert relation(own, "leak").trials == 4


def test_gap_is_looked_at_where_no_leak_hides_it():
    # Without a leak the gap decides; the leaking trials have small gaps and lose all the same.
    psnr = [30, 29, 28, 20, 19, 18]
    own = points(lambda t, i: psnr[t], [0, 0, 0, 0.4, 0.5, 0.9], [4, 6, 8, 1, 2, 3])
    found = relations(own)
    assert [item.what for item in found] == ["leak", "gap", "gap"]
    assert found[1].rank.value > 0
    assert found[2].rank.value == pytest.approx(-1)
    assert found[2].trials == 3
    assert "among trials without a clear leak" in relation_text(found[2])


@pytest.mark.parametrize("trials", [4, 8])
def test_six_images_find_a_tendency_where_there_is_none_no_more_often_than_allowed(trials):
    rng = np.random.default_rng(0)
    gaps, draws = np.arange(trials), 400
    ranks = [
        [stats.spearmanr(gaps, rng.normal(size=trials)).statistic for _ in IMAGES]
        for _ in range(draws)
    ]
    false = np.mean([mean_over_images(own).sign != 0 for own in ranks])
    assert false < 0.05 + 3 * math.sqrt(0.05 * 0.95 / draws)


def test_the_interval_of_six_images_covers_as_often_as_it_says():
    rng = np.random.default_rng(0)
    means = [mean_over_images(list(0.2 + 0.1 * rng.normal(size=6))) for _ in range(400)]
    covered = np.mean([mean.low <= 0.2 <= mean.high for mean in means])
    assert abs(covered - 0.95) < 3 * math.sqrt(0.05 * 0.95 / 400)


def finals(order):
    """Trial t has PSNR t; its loss has the given order."""
    return {
        f"trial-{t}": {image: (0.01 * (1 + place), 20.0 + t + i) for i, image in enumerate(IMAGES)}
        for t, place in enumerate(order)
    }


@pytest.mark.parametrize(
    ("order", "tau", "lost"),
    [([3, 2, 1, 0], 1, 0), ([0, 1, 2, 3], -1, 3), ([1, 0, 3, 2], -1 / 3, 2)],
)
def test_the_loss_alone(order, tau, lost):
    found = ranked_by_loss(finals(order))
    assert (found.tau, found.cost) == pytest.approx((tau, lost))
    assert (found.n_images, found.n_trials) == (6, 4)
    assert found.tau_interval is None  # all images are alike, so there is no interval


def test_the_loss_alone_is_told_with_the_interval_of_the_ranking():
    own = finals([3, 2, 1, 0])
    own["trial-0"]["image-0"] = (0.005, 20.0)  # the worst trial has the lowest loss here
    found = ranked_by_loss(own)
    guides = [{image: -loss for image, (loss, _) in each.items()} for each in own.values()]
    truths = [{image: psnr for image, (_, psnr) in each.items()} for each in own.values()]
    same = ranking(guides, truths)
    assert found == same
    assert found.tau_interval.high == 1


def test_what_is_said_of_the_loss_alone():
    ends = Interval(0.3, 1.0, 0.95)
    guide = LossGuide(4, 6, 0.8, ends, 0.9, 0.5, Interval(0.0, 1.2, 0.95), n_samplers=1)
    assert loss_text(guide) == (
        "The trial with the lower training loss tends to have the higher PSNR (Kendall's tau of low loss "
        "and high PSNR +0.80, 95 % CI +0.30 to +1.00; 4 trials, 6 images). Choosing the trial with the "
        "lowest loss for each image would have cost 0.50 dB on average (95 % CI 0.00 to 1.20)."
    )
    assert "so their losses are not on a common scale" in loss_text(replace(guide, n_samplers=4))
    unclear = replace(guide, tau_interval=Interval(-0.1, 0.9, 0.95))
    assert loss_text(unclear).startswith("The training loss does not reliably rank the trials")
    same = replace(guide, tau=-1.0, tau_interval=None)
    assert (
        "to have the lower PSNR (Kendall's tau of low loss and high PSNR \u22121.00 on every image; "
        in loss_text(same)
    )
    assert loss_text(replace(guide, n_trials=2)) == ""


def test_the_loss_alone_needs_trials():
    mixed = finals([2, 1, 0])
    mixed["trial-0"]["image-0"] = (math.nan, 20.0)
    assert ranked_by_loss(mixed).n_images == 5
    mixed["broken"] = dict.fromkeys(IMAGES, (math.nan, math.nan))
    assert (ranked_by_loss(mixed).n_trials, ranked_by_loss(mixed).n_images) == (3, 5)


def test_figures_have_a_dot_per_trial_and_image():
    own = points(lambda t, i: -t, [0, 0.1, -0.3, 0.9], [5, 4, 6, 5])
    figure = psnr_by_diagnostics(own, of_trials("trial-0", [point.trial for point in own]))
    for axes in figure.axes:
        dots = [len(item.get_offsets()) for item in axes.collections]
        assert sum(dots) == len(own)
        assert len(axes.lines) == len(IMAGES)
    assert "\u22121.00" in figure.axes[0].get_title()
    assert all(x >= 0 for item in figure.axes[0].collections for x, _ in item.get_offsets())
    psnr_by_diagnostics([], {}).canvas.draw()
