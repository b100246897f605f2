"""Numbers at an axis can be read whatever the values are: at least two, and none on another."""

import itertools

import numpy as np
import pytest
from helpers import sample_analysis as sample
from matplotlib.backends.backend_agg import FigureCanvasAgg

from n2n_ablate.report.figures import axes as shared
from n2n_ablate.report.figures.differences import time_against_metric

NARROWEST = 3.95  # inches
LOG = [
    (start * 10.0**power, ratio)
    for power in (-5, 3)
    for start in (1, 1.3, 2.01, 6.5)
    for ratio in (1.1, 1.6, 4.9, 5.1, 9.9, 24, 31, 49, 99, 250, 1e4, 1e9)
]
LINEAR = [
    (start * scale, (start + width) * scale)
    for scale, start, width in itertools.product(
        (1e-5, 1e-3, 1, 25, 5e4), (-7.3, 0.0, 2.19), (0.013, 1.7, 230)
    )
]


def labels(axis):
    """Texts and boxes of the numbers that are seen, from left to right or from below."""
    FigureCanvasAgg(axis.figure)
    low, high = sorted(axis.get_view_interval())
    assert not any(label.get_text() for label in axis.get_ticklabels(minor=True))
    numbers = zip(axis.get_ticklocs(), axis.get_ticklabels(), strict=True)
    return [
        (label.get_text(), label.get_window_extent()) for at, label in numbers if low <= at <= high
    ]


def check(axis):
    seen = labels(axis)
    assert len(seen) >= 2
    assert len({text for text, _ in seen}) == len(seen), [text for text, _ in seen]
    for (text, left), (other, right) in itertools.pairwise(seen):
        room = max(right.x0 - left.x1, right.y0 - left.y1)
        assert room > 8, (axis.axes.get_xlim(), text, other)


def test_numbers_at_a_logarithmic_axis_stand_apart():
    _, axes = shared.panel(width=NARROWEST, height=3.0)
    for low, ratio in LOG:
        axes.set_xlim(low / ratio**0.05, low * ratio**1.05)
        shared.set_scale(axes.xaxis, log=True)
        check(axes.xaxis)


def test_numbers_at_a_linear_axis_stand_apart():
    _, axes = shared.panel(width=NARROWEST, height=3.0)
    for low, high in LINEAR:
        axes.set(xlim=(low, high), ylim=(low, high))
        check(axes.xaxis)
        check(axes.yaxis)


@pytest.mark.parametrize(
    "seconds", [(0.0351, 0.0713), (0.0647, 0.0713), (0.02, 4.0), (3.2, 3.6), (1.0, 90_000.0)]
)
def test_training_times_can_be_read(seconds):
    rows = [
        sample.trial(name, "declared", 25 + place, seconds=time)
        for place, (name, time) in enumerate(zip("ab", seconds, strict=True))
    ]
    figure = time_against_metric(rows, {"a": "a", "b": "b"}, sample.PSNR, {})
    check(figure.axes[0].xaxis)
    assert np.all(np.array(figure.axes[0].get_xlim()) > 0)
