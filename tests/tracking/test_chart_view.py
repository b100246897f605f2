"""The arrangement of MLflow's chart page and the names of what it shows."""

import base64
import json
import zlib

import numpy as np
import pytest

from n2n_ablate import study as studies
from n2n_ablate.diagnostics.measure import diagnose
from n2n_ablate.records import FitResult, Row, TrialResult
from n2n_ablate.tracking import record
from n2n_ablate.tracking.chart_view import chart_view
from n2n_ablate_plugins.noises import Gaussian
from n2n_ablate_plugins.zs_n2n import Diagonal

IMAGES = ("boat", "two words")
STEPS = np.arange(1, 11, dtype=np.int32)


@pytest.fixture(params=[1, 2], ids=["one condition", "two conditions"])
def plan(request, tiny, registry):
    more = (
        '[[conditions]]\nnoise = { name = "gaussian", sigma = 50.0 }\nlabel = "sigma 50"\n[factors]'
    )
    if request.param == 2:
        tiny.write_text(tiny.read_text().replace("[factors]", more))
    return studies.plan(studies.read(tiny), registry)


def result_of(plan):
    curves = {name: np.linspace(1, 2, 10) for name in ("psnr", "ssim", "loss")}
    figures = dict.fromkeys(curves, 2.0)
    return TrialResult(
        plan.baseline,
        tuple(
            Row(
                item.label,
                image,
                0,
                FitResult("key", dict(figures), STEPS, dict(curves), None, 1.0),
            )
            for item in plan.conditions
            for image in IMAGES
        ),
    )


def unpacked(tag):
    return json.loads(zlib.decompress(base64.b64decode(tag.removeprefix("deflate;"))))


def test_every_chart_shows_something_that_is_logged_and_everything_logged_has_a_chart(plan):
    state = unpacked(chart_view(plan, IMAGES))
    cards = state["compareRunCharts"]
    drawn = {card["metricKey"] for card in cards if card["type"] in ("LINE", "BAR")}
    result = result_of(plan)
    white = Gaussian()
    found = {item.label: diagnose(Diagonal(), white, pairs=2) for item in plan.conditions}
    measured = {item.name for item in record.diagnostics(plan, found)}
    assert drawn - measured == {item.name for item in record.values(plan, result, result)}
    assert {name.split(".")[1] for name in drawn & measured} == {"leak", "gap"}
    (scatter, *_) = [card for card in cards if card["type"] == "SCATTER"]
    assert scatter["xaxis"]["key"] == "sampler.center"
    assert scatter["yaxis"]["key"] in drawn


def test_all_runs_are_shown_best_first(plan):
    state = unpacked(chart_view(plan, IMAGES))
    assert state["runsHiddenMode"] == "SHOW_ALL"
    first = next(iter(record.suffixes(plan).values()))
    assert (state["orderByKey"], state["orderByAsc"]) == (f"metrics.`psnr{first}`", False)


def test_sections_hold_every_card_once_and_the_answer_comes_first(plan):
    state = unpacked(chart_view(plan, IMAGES))
    sections = {item["uuid"]: item["name"] for item in state["compareRunSections"]}
    cards = state["compareRunCharts"]
    assert {card["metricSectionId"] for card in cards} == set(sections)
    assert len({card["uuid"] for card in cards}) == len(cards)
    assert next(iter(sections.values())) == "sigma 25"
    assert cards[0]["metricKey"].startswith("psnr")


def test_the_tag_is_short_enough_for_older_servers(plan):
    assert len(chart_view(plan, [f"image-{place}" for place in range(200)])) < 5000


def test_the_last_point_of_a_curve_is_the_final_value_and_nothing_is_infinite(plan):
    result = result_of(plan)
    result.rows[0].result.curves["psnr"][3] = np.inf
    result.rows[0].result.curves["loss"][4] = np.nan
    result.rows[0].result.figures["psnr"] = 4.0
    suffix = next(iter(record.suffixes(plan).values()))
    values = record.values(plan, result, result)
    assert all(np.isfinite(item.value) for item in values)
    psnr = [item for item in values if item.name == f"psnr{suffix}"]
    assert [item.step for item in psnr] == [1, 2, 3, 5, 6, 7, 8, 9, 10]
    assert psnr[-1].value == 3.0  # of 4 and 2


def test_names_that_differ_stay_different_when_made_plain():
    assert record.slugs(["a b", "a/b", "a-b", "...", "ok.v2", "käse"]) == {
        "a b": "a-b",
        "a/b": "a-b-2",
        "a-b": "a-b-3",
        "...": "unnamed",
        "ok.v2": "ok.v2",
        "käse": "käse",
    }
