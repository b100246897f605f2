"""How numbers become letters, and how cells of tables become text, in every format."""

import io
import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from n2n_ablate.analysis.contrast import Rule, primary
from n2n_ablate.analysis.records import Contrast, Kind, Metric
from n2n_ablate.report.document import (
    Column,
    Curve,
    DotPlot,
    DotRow,
    Row,
    Table,
    Verdict,
    cell_text,
)
from n2n_ablate.report.numbers import (
    digits_for,
    digits_of_scale,
    format_half_width,
    format_interval,
    format_number,
    format_percent,
    format_signed,
    join_words,
    pluralize,
    round_up,
    sparkline,
)
from n2n_ablate.report.render.console import dot_plot_lines, needed_width, print_block
from n2n_ablate.report.render.markdown import markdown_table
from n2n_ablate.report.supporting import supporting_table
from n2n_ablate.report.text.contrasts import contrast_line, contrast_name, metric_digits


@pytest.mark.parametrize(
    ("values", "bars"),
    [([0, 1], "▁▁▁▁▁█████"), ([], ""), ([3.0], "▁" * 10), ([math.nan, 1, 2], "   ▁▁▁▁███")],
)
def test_sparklines(values, bars):
    assert sparkline(values) == bars


def test_numbers_have_a_real_minus_and_no_negative_zero():
    assert format_signed(-0.5) == "\u22120.50"
    assert format_signed(-0.001) == "+0.00"
    assert format_signed(0.25) == "+0.25"
    assert format_number(-0.001) == "0.00"
    assert format_number(math.nan) == format_signed(math.inf) == ""
    assert format_interval(-0.69, -0.31) == "\u22120.69 to \u22120.31"
    assert format_interval(-math.inf, 1) == ""
    assert format_percent(0.975) == "97.5 %"
    assert format_percent(1 - 0.05 / 3) == "98.33 %"


def test_an_interval_that_is_not_symmetric_has_no_half_width():
    assert format_half_width(-0.5, -0.69, -0.31) == "\u22120.50 ± 0.19"
    assert format_half_width(-0.5, -0.8, -0.31) == "\u22120.50"


def test_words_and_counts():
    assert join_words(["a"]) == "a"
    assert join_words("abc") == "a, b and c"
    assert join_words([]) == ""
    assert pluralize(1, "image") == "1 image"
    assert pluralize(12000, "fit") == "12,000 fits"
    assert [round_up(count) for count in (9, 16, 123, 1001)] == [9, 16, 130, 1100]


def test_a_third_digit_is_printed_where_two_would_contradict_the_verdict():
    assert digits_for((-0.052, 0.051), (0.0, -0.05, 0.05)) == 3
    assert digits_for((-0.049, 0.048), (0.0, -0.05, 0.05)) == 3
    assert digits_for((0.004, 0.3), (0.0,)) == 3
    assert digits_for((-0.69, -0.31), (0.0, -0.05, 0.05)) == 2
    assert digits_for((0.0, 0.3), (0.0,)) == 2  # no digit would help


@given(st.floats(-1, 1), st.floats(0, 1))
def test_a_printed_interval_is_on_the_side_of_its_limits_or_as_good_as_on_them(low, width):
    ends = (low, low + width)
    digits = digits_for(ends, (0.0,))
    for value in ends:
        assert (round(value, digits) > 0) == (value > 0) or abs(value) < 1e-4


@pytest.mark.parametrize(
    ("scale", "digits"), [(0.05, 2), (0.02, 2), (0.01, 2), (0.002, 3), (1.0, 0), (25.0, 0)]
)
def test_the_first_digit_of_a_scale_is_shown(scale, digits):
    assert digits_of_scale(scale) == digits


def test_digits_follow_the_width_of_an_interval():
    assert digits_for((0.011, 0.013), ()) == 3
    assert digits_for((0.0002, 0.0004), ()) == 4
    assert digits_for((1e-9, 2e-9), ()) == 4  # no more than two beyond those of the scale
    assert digits_for((-math.inf, math.inf), (0.0,)) == 2


@pytest.mark.parametrize(
    ("metric", "values", "digits"),
    [
        (Metric("psnr", "dB", margin=0.05), [29.5], 2),
        (Metric("psnr", "dB"), [29.5, None], 2),
        (Metric("psnr", "dB", margin=0.005), [29.5], 3),
        (Metric("ssim"), [0.73], 3),
        (Metric("ssim", margin=0.0005), [0.73], 4),
        (Metric("mse"), [0.0012, 0.0031], 5),
        (Metric("mse"), [math.nan, 0.0], 3),
    ],
)
def test_a_metric_of_small_values_has_more_digits(metric, values, digits):
    assert metric_digits(metric, values) == digits


def test_a_small_difference_of_a_small_metric_is_no_row_of_zeros():
    metric = Metric("mse", margin=2e-4, decides=True, higher_is_better=False)
    names = [f"image {i}" for i in range(6)]
    base = {name: np.array([0.0031 + 1e-4 * i]) for i, name in enumerate(names)}
    trial = {name: value - 1.2e-3 - 1e-5 * i for i, (name, value) in enumerate(base.items())}
    contrast = Contrast(
        "center=0.2", parameters={"center": 0.2}, baseline_parameters={"center": 0.01}
    )
    record = primary(contrast, "sigma 25", trial, base, names, Rule(metric, 1, tuple(names)))
    assert contrast_line(record) == (
        "center = 0.2 vs 0.01: better by 0.00122 (95 % CI \u22120.00124 to \u22120.00121)"
    )
    table = supporting_table([record])
    cells = dict(zip([column.title for column in table.columns], table.rows[0].cells, strict=True))
    assert cell_text(cells["one image out"]) == "\u22120.00123 to \u22120.00122"
    assert float(cell_text(cells["detectable"])) > 0
    secondary = replace(record, verdict=None, metric=replace(metric, margin=None, decides=False))
    assert "\u22120.00122" in contrast_line(secondary)


TABLE = Table(
    [Column("name", numeric=False, wraps=True), Column("PSNR"), Column("CI"), Column("verdict", numeric=False), Column("by step", optional=True)],
    [
        Row(["sampler.center=0.2", format_number(26.555), format_interval(-0.69, -0.31), Verdict("worse"), Curve([0, 1])], "baseline"),
        Row(["noisy", format_number(20), "", "", Curve([])], "reference"),
    ],
)  # fmt: skip


def test_a_cell_has_one_text_in_every_format():
    assert [cell_text(cell) for cell in TABLE.rows[0].cells[:4]] == [
        "sampler.center=0.2", f"{26.555:.2f}", "\u22120.69 to \u22120.31", "worse",
    ]  # fmt: skip
    assert cell_text(Verdict("above the sum", "better"), signs=True) == "▲ above the sum"
    assert format_half_width(1.0, 0.5, 1.5) == "+1.00 ± 0.50"


def test_curves_have_no_place_on_paper():
    assert "by step" not in markdown_table(TABLE)


def test_a_narrow_terminal_drops_what_is_optional_and_says_so():
    need = needed_width(TABLE)
    for width, shown in ((need, True), (need - 1, False)):
        console = Console(file=io.StringIO(), width=width)
        print_block(console, TABLE)
        text = console.file.getvalue()
        assert ("by step" in text.splitlines()[0]) is shown
        assert (
            f"Widen the terminal to {need} columns to see by step." in " ".join(text.split())
        ) is not shown


def test_names_break_behind_dots_underscores_and_equals_signs():
    console = Console(file=io.StringIO(), width=20)
    name = "sampler=stripe, loss.consistency_weight=0.25, sampler.center=0.5"
    print_block(console, Table([Column("", numeric=False, wraps=True)], [Row([(name)])]))
    lines = [line.strip() for line in console.file.getvalue().splitlines()[2:] if line.strip()]
    assert lines == ["sampler=stripe,", "loss.consistency_", "weight=0.25,", "sampler.center=0.5"]
    narrow = Console(file=io.StringIO(), width=20)
    print_block(narrow, Table([Column("", numeric=False, wraps=True)], [Row([("a" * 30)])]))
    assert max(map(len, narrow.file.getvalue().splitlines())) <= 20


def test_a_dot_plot_has_a_dot_per_image_and_stays_within_the_terminal():
    rows = [DotRow("a", [-1.0, 0.0, 1.0], 0.0, (-0.5, 0.5)), DotRow("b" * 60, [2.0, 2.0], 2.0)]
    for width in (60, 80, 120):
        lines = [line.plain for line in dot_plot_lines(DotPlot(rows, 0.05, "dB"), width)]
        assert max(map(len, lines)) <= width
        assert lines[0].count("·") == 2  # the third is behind the mean
        assert "─" in lines[0]
        assert "◆" in lines[1]
        assert lines[2].strip().startswith("\u22121.00")
        assert lines[2].endswith("+2.00 dB")
    assert list(dot_plot_lines(DotPlot([], 0.05, "dB"), 80)) == []


def test_a_contrast_is_named_with_every_parameter_of_its_component():
    sampler = Contrast(
        "sampler=edge-weighted(weight=-0.1)",
        parameters={"sampler": "edge-weighted"},
        baseline_parameters={"sampler": "diagonal"},
    )
    assert contrast_name(sampler) == "sampler = edge-weighted(weight=-0.1) vs diagonal"
    center = Contrast(
        "sampler.center=0.2",
        parameters={"sampler.center": 0.2},
        baseline_parameters={"sampler.center": 0.01},
    )
    assert contrast_name(center) == "center = 0.2 vs 0.01"
    turned = Contrast(
        "baseline",
        "sampler.center=0.2",
        Kind.PAIR,
        {"sampler.center": 0.01},
        {"sampler.center": 0.2},
    )
    assert contrast_name(turned) == "center = 0.01 vs 0.2"
    assert contrast_name(Contrast("a, b")) == "a, b vs baseline"
    pair = Contrast("sampler=diagonal x estimator=flips", kind=Kind.INTERACTION)
    assert contrast_name(pair) == "sampler = diagonal \u00d7 estimator = flips"
