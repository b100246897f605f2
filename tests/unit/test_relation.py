"""What is said about leak, gap and loss follows from the data and goes no further."""

import math

import numpy as np
import pytest
from scipy import stats

from n2n_ablate.diagnostics.relation import (
    Point,
    loss_alone,
    mean_over_images,
    relation,
    relations,
)
from n2n_ablate.pictures.diagnostics import psnr_by_diagnostics, psnr_by_loss

IMAGES = [f"image-{place}" for place in range(6)]


def points(psnr, leaks, gaps, images=IMAGES):
    """Images differ by 3 dB each, which must not matter."""
    return [
        Point(f"trial-{t}", image, 20 + 3 * i + psnr(t, i), leak, gap)
        for i, image in enumerate(images)
        for t, (leak, gap) in enumerate(zip(leaks, gaps, strict=True))
    ]


def test_psnr_that_falls_with_leak_is_told():
    found = relation(points(lambda t, i: -t, [0, 0.1, -0.3, 0.9], [5, 4, 6, 5]), "leak")
    assert (found.rank.value, found.rank.low, found.rank.high) == pytest.approx((-1, -1, -1))
    assert found.rank.images == 6
    assert found.sentence.startswith("On the same image, trials with more leak tend to have lower")
    assert "need not be the cause" in found.sentence
    assert "rough with so few" in found.sentence


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
    assert "is not clear" in found.sentence
    assert "tend to" not in found.sentence


def test_what_cannot_be_told_is_not():
    same = relation(points(lambda t, i: -t, [0, 0, 0, 0], [1, 2, 3, 4]), "leak")
    assert (same.rank.images, math.isnan(same.rank.value)) == (0, True)
    assert "cannot be told" in same.sentence
    assert "cannot be told" in relation([], "gap").sentence
    two = relation(points(lambda t, i: -t, [0, 0.5], [1, 2]), "leak")
    assert two.rank.images == 0
    lone = relation(points(lambda t, i: -t, [0, 0.2, 0.5], [1, 2, 3], IMAGES[:1]), "leak")
    assert (lone.rank.value, lone.rank.sign) == (-1, 0)
    assert "no interval" in lone.sentence
    assert "tend to" not in lone.sentence


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
    assert "among trials without a clear leak" in found[2].sentence


def test_the_bootstrap_covers_about_as_often_as_it_says():
    rng = np.random.default_rng(0)
    hits = [
        mean.low <= 0.3 <= mean.high
        for mean in (mean_over_images(list(0.3 + rng.normal(size=24))) for _ in range(150))
    ]
    assert np.mean(hits) > 0.85


def finals(order):
    """Trial t has PSNR t; its loss has the given order."""
    return {
        f"trial-{t}": {image: (0.01 * (1 + place), 20.0 + t + i) for i, image in enumerate(IMAGES)}
        for t, place in enumerate(order)
    }


@pytest.mark.parametrize(
    ("order", "tau", "lost", "words"),
    [
        ([3, 2, 1, 0], 1, 0, "tends to have the higher PSNR"),
        ([0, 1, 2, 3], -1, 3, "tends to have the lower PSNR"),
        ([1, 0, 3, 2], -1 / 3, 2, "tends to have the lower PSNR"),
    ],
)
def test_the_loss_alone(order, tau, lost, words):
    found = loss_alone(finals(order))
    assert found.tau.value == pytest.approx(tau)
    assert found.lost.value == pytest.approx(lost)
    assert found.by_image["image-0"] == pytest.approx((tau, lost))
    assert (found.tau.images, found.trials) == (6, 4)
    assert words in found.sentence
    assert f"would have cost {lost:.2f} dB on average" in found.sentence


def test_the_loss_alone_needs_trials():
    found = loss_alone(finals([0, 1]))
    assert found.tau.images == 0
    assert "cannot be told" in found.sentence
    mixed = finals([2, 1, 0])
    mixed["trial-0"]["image-0"] = (math.nan, 20.0)
    assert "image-0" not in loss_alone(mixed).by_image


def test_figures_have_a_dot_per_trial_and_image():
    own = points(lambda t, i: -t, [0, 0.1, -0.3, 0.9], [5, 4, 6, 5])
    figure = psnr_by_diagnostics(own, title="samplers")
    for axes in figure.axes:
        dots = [len(item.get_offsets()) for item in axes.collections]
        assert sum(dots) == len(own)
        assert len(axes.lines) == len(IMAGES)
    assert "-1.00" in figure.axes[0].get_title()
    assert all(x >= 0 for item in figure.axes[0].collections for x, _ in item.get_offsets())
    figure = psnr_by_loss(finals([3, 2, 1, 0]))
    assert sum(len(item.get_offsets()) for item in figure.axes[0].collections) == 24
    psnr_by_diagnostics([]).canvas.draw()
