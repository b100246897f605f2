"""Contrast records: the right verdict and reason at every edge, and what stands beside them."""

import json
from dataclasses import replace

import numpy as np
import pytest
from helpers import small_results as small
from helpers.small_results import BASE, HIGH, LOW, NAN

from n2n_ablate import stats
from n2n_ablate.analysis.analyse import analyse
from n2n_ablate.analysis.contrast import primary
from n2n_ablate.analysis.paired import Rule
from n2n_ablate.analysis.pairs import compare_trials
from n2n_ablate.analysis.records import Caveat, Contrast, Metric, Reason, Verdict, to_plain
from n2n_ablate.records import StudyTrials

PSNR = Metric("psnr", "dB", True, 0.05, True)
ERROR = Metric("mae", "", False, 0.05, True)


def side(values):
    """Values by image, one or several seeds; NaN for a lost image."""
    return {
        f"image {i}": np.atleast_1d(np.asarray(value, float))
        for i, value in enumerate(values)
        if np.isfinite(value).all()
    }


def record(trial, base, *, size=1, metric=PSNR, clusters=None, sizes=(), given=None):
    names = tuple(f"image {i}" for i in range(len(base)))
    rule = Rule(metric, size, names, clusters or {}, sizes)
    return primary(Contrast("center=0.2"), LOW, side(trial), side(base), names[:given], rule)


@pytest.fixture
def planned(folder, registry):
    return small.planned(folder, registry)


def analysed(planned, base, one, two, **more):
    result = small.made(planned, base, one, two)
    return analyse(result, small.header(planned, len(result.baseline.given(LOW)), **more))


FOUR = [20.0, 25.0, 30.0, 22.0]


@pytest.mark.parametrize(
    ("trial", "base", "verdict", "reason"),
    [
        ([21.0, 26.1, 30.9, 23.0], FOUR, Verdict.BETTER, None),
        ([19.0, 24.1, 28.9, 21.0], FOUR, Verdict.WORSE, None),
        ([20.01, 24.99, 30.0, 22.01], FOUR, Verdict.EQUIVALENT, None),
        ([21.0, 24.0, 30.5, 22.0], FOUR, Verdict.INCONCLUSIVE, None),
        (FOUR, FOUR, Verdict.IDENTICAL, None),
        ([20.0], [20.0], Verdict.IDENTICAL, None),
        ([21.0], [20.0], Verdict.WITHHELD, Reason.ONE_IMAGE),
        ([21.0, 26.0], [20.0, 25.0], Verdict.WITHHELD, Reason.NO_SPREAD),
        ([21.0, 26.5], [20.0, 25.0], Verdict.INCONCLUSIVE, None),
        ([21.0, 26.1, 31.0], [20.0, 25.0, 30.0], Verdict.BETTER, None),
        ([21.0, 26.1, 30.9, NAN], FOUR, Verdict.WITHHELD, Reason.TRIAL_LOST_IMAGES),
        (
            [21.0, 26.1, 30.9, 23.0],
            [NAN, 25, 30, 22],
            Verdict.WITHHELD,
            Reason.BASELINE_LOST_IMAGES,
        ),
        ([21.0, 26.1, NAN, 23.0], [NAN, 25, 30, 22], Verdict.WITHHELD, Reason.BOTH_LOST_IMAGES),
        ([NAN] * 4, FOUR, Verdict.WITHHELD, Reason.TRIAL_FAILED),
        (FOUR, [NAN] * 4, Verdict.WITHHELD, Reason.BASELINE_FAILED),
        ([1.0, NAN], [NAN, 1.0], Verdict.WITHHELD, Reason.NO_COMMON_IMAGE),
        ([20.0, 25.0, NAN, 22.0], FOUR, Verdict.WITHHELD, Reason.TRIAL_LOST_IMAGES),
        ([], [], Verdict.WITHHELD, Reason.NOT_RUN),
        ([21.0, float("inf"), 30.9, 23.0], FOUR, Verdict.WITHHELD, Reason.TRIAL_LOST_IMAGES),
    ],
)
def test_every_edge_has_its_verdict_and_reason(trial, base, verdict, reason):
    found = record(trial, base)
    assert (found.verdict, found.reason) == (verdict, reason)
    json.dumps(to_plain(found), allow_nan=False)


def test_a_record_holds_both_intervals_and_shows_the_one_that_decided():
    trial = [20.02, 24.98, 30.01, 22.0]
    found = record(trial, FOUR, size=2)
    assert found.family_size == 2
    assert found.difference_interval.level == pytest.approx(0.975)
    assert found.equivalence_interval.level == pytest.approx(0.95)
    assert found.verdict is Verdict.EQUIVALENT
    assert found.interval is found.equivalence_interval
    open_ = record(trial, FOUR, size=30)
    assert open_.verdict is Verdict.INCONCLUSIVE
    assert open_.interval is open_.difference_interval
    assert open_.difference_interval.level == pytest.approx(1 - 0.05 / 30)
    assert open_.difference_interval.half_width > found.difference_interval.half_width


def test_thirty_contrasts_each_have_a_record_in_one_family(folder, registry):
    levels = ", ".join(f"{0.011 + 0.01 * i:.3f}" for i in range(30))
    text = small.TEXT.replace("[0.1, 0.2]", f"[{levels}]")
    planned = small.planned(folder, registry, text)
    rows = [small.trial(planned.fixed[0], {LOW: BASE, HIGH: BASE})]
    for number, known in enumerate(planned.fixed[1:]):
        values = [value + 0.3 * number + 0.01 * i for i, value in enumerate(BASE)]
        values[0] = NAN if number == 7 else values[0]
        rows.append(small.trial(known, {LOW: values, HIGH: values}))
    found = small.analysis(StudyTrials(planned, tuple(rows)))
    assert found.family.size == 60
    records = found.condition(LOW).contrasts
    assert len(records) == 30
    assert {r.difference_interval.level for r in records} == {1 - 0.05 / 60}
    assert records[7].reason is Reason.TRIAL_LOST_IMAGES
    assert records[29].verdict is Verdict.BETTER


def test_a_lost_image_withholds_the_verdict_in_both_directions_and_keeps_the_estimate():
    found = record([19.0, 24.1, 28.9, 21.0], [20.0, 25.0, 30.0, NAN])
    assert found.estimate == pytest.approx(-1.0, abs=0.01)
    assert (found.n_images, found.lost_by_baseline, found.lost_by_trial) == (3, 1, 0)
    assert found.planning is None
    assert Caveat.IMAGES_LOST in found.caveats
    back = record([20.0, 25.0, 30.0, NAN], [19.0, 24.1, 28.9, 21.0])
    assert (back.verdict, back.reason) == (Verdict.WITHHELD, Reason.TRIAL_LOST_IMAGES)
    assert back.estimate == -found.estimate


@pytest.mark.parametrize(("metric", "verdict"), [(PSNR, "better"), (ERROR, "worse")])
def test_a_metric_has_a_direction(metric, verdict):
    found = record([21.0, 26.1, 30.9, 23.0], FOUR, metric=metric)
    assert found.verdict == verdict
    assert found.estimate > 0
    assert (found.wins.wins, found.wins.losses) == ((4, 0) if verdict == "better" else (0, 4))


@pytest.mark.parametrize("margin", [0.0, None, -0.05])
def test_without_a_margin_nothing_is_equivalent(margin):
    found = record([20.01, 24.99, 30.0, 22.01], FOUR, metric=replace(PSNR, margin=margin))
    assert found.verdict is Verdict.INCONCLUSIVE
    assert (found.equivalence_interval, found.probability_equivalent) == (None, None)


def test_pictures_of_one_scene_are_one_unit():
    clusters = dict.fromkeys(["image 0", "image 1", "image 2"], "harbour")
    found = record([21.0, 26.1, 30.9, 23.0], FOUR, clusters=clusters)
    assert (found.n_images, found.n_clusters) == (4, 2)
    # Both units have a mean difference of 1: the mean of 1.0, 1.1 and 0.9, and 1.0.
    assert (found.verdict, found.reason) == (Verdict.WITHHELD, Reason.NO_SPREAD)
    assert Caveat.CLUSTERED in found.caveats
    more = record([21.0, 26.1, 30.9, 23.5], FOUR, clusters=clusters)
    assert more.estimate == pytest.approx(1.25)  # the mean of 1 and 1.5
    low, high = map(float, stats.limits(np.array([1.0, 1.5]), stats.t_critical(0.95, 2)))
    assert (more.difference_interval.low, more.difference_interval.high) == pytest.approx(
        (low, high)
    )
    alone = record([21.0, 26.1], [20.0, 25.0], clusters=clusters)
    assert (alone.verdict, alone.reason) == (Verdict.WITHHELD, Reason.ONE_IMAGE)


def test_a_contrast_that_rests_on_one_image_says_on_which():
    base = [20.0] * 6
    found = record([20.0, 20.1, 20.05, 20.02, 19.98, 23.0], base)
    left = found.leave_one_out
    assert left.image == "image 5"
    assert left.estimate_without == pytest.approx(0.03)
    assert left.low == pytest.approx(0.03)
    assert left.high == pytest.approx((3.15 - -0.02) / 5)
    steady = record([20.5, 20.6, 20.55, 20.52, 20.48, 20.53], base)
    assert steady.verdict is Verdict.BETTER
    assert steady.leave_one_out.verdict_holds
    assert Caveat.RESTS_ON_ONE_IMAGE not in steady.caveats
    fragile = record([20.1, 20.2, 20.3, 20.3], [20.0] * 4, metric=replace(PSNR, margin=0.01))
    assert fragile.verdict is Verdict.BETTER
    assert fragile.leave_one_out.verdict_without is Verdict.INCONCLUSIVE
    assert Caveat.RESTS_ON_ONE_IMAGE in fragile.caveats
    assert record([20.1, 20.3], [20.0, 20.0]).leave_one_out is None


def test_figures_to_plan_with_are_upper_ends_and_need_four_images():
    assert record([21.0, 24.0, 30.5], [20.0, 25.0, 30.0]).planning is None
    found = record([21.0, 24.0, 30.5, 22.1], FOUR)
    sd = np.std([1.0, -1.0, 0.5, 0.1], ddof=1)
    critical = stats.t_critical(0.95, 4)
    expected = stats.detectable_effect(4, critical) * stats.spread_limit(sd, 4)
    assert found.planning.detectable_difference == pytest.approx(expected)
    assert found.planning.images_needed == stats.images_to_resolve(0.15, sd, 4, 1, 0.05)
    sure = record([21.0, 26.1, 30.9, 23.0], FOUR).planning
    assert sure.images_needed is None


def test_seeds_are_averaged_within_images_and_give_the_second_scope():
    base = [[20.0, 20.2], [25.0, 25.4], [30.0, 30.2]]
    found = record([[21.0, 21.3], [26.0, 26.3], [31.0, 31.5]], base)
    assert (found.n_seeds, found.n_images) == (2, 3)
    assert found.estimate == pytest.approx((1.05 + 0.95 + 1.15) / 3)
    assert found.fixed_images_interval.low < found.estimate < found.fixed_images_interval.high
    assert Caveat.ONE_SEED not in found.caveats
    assert Caveat.ONE_SEED in record([21.0, 26.0], [20.0, 25.1]).caveats


def test_a_race_decides_at_the_first_analysis_that_can_and_keeps_that():
    base = np.full(12, 25.0)
    values = base + 1 + 0.01 * np.arange(12)
    for given in (6, 9, 12):
        found = record(values, base, sizes=(6, 9, 12), given=given)
        assert (found.verdict, found.interim.number, found.n_images) == (Verdict.BETTER, 1, 6)
    assert Caveat.STOPPED_EARLY in found.caveats
    early = record(values, base, sizes=(6, 9, 12), given=4)
    assert (early.verdict, early.reason) == (Verdict.WITHHELD, Reason.NO_ANALYSIS_YET)
    assert early.difference_interval is None
    flat = base + np.resize([0.3, -0.3], 12)
    open_ = record(flat, base, sizes=(6, 9, 12), given=9)
    assert (open_.verdict, open_.interim.number, open_.interim.decided) == (
        "inconclusive",
        2,
        False,
    )


def test_records_are_decided_as_the_simulation_decides():
    rng = np.random.default_rng(0)
    for n in (4, 8, 14):
        values = rng.normal(0.02, 0.05, (20, n))
        codes = stats.decide(values, stats.Levels(6).critical(n), 0.05)
        names = {0: "inconclusive", 1: "better", -1: "worse", 2: "equivalent"}
        for row, code in zip(values, codes, strict=True):
            assert record(25 + row, np.full(n, 25.0), size=6).verdict == names[int(code)]


# A whole study


def test_one_family_over_contrasts_and_conditions(planned):
    found = analysed(planned, BASE, [21.0, 26.1, 30.9, 23.0], BASE)
    assert (found.family.contrasts, found.family.conditions, found.family.size) == (2, 2, 4)
    each = found.condition(LOW).contrasts[0]
    assert each.difference_interval.level == pytest.approx(1 - 0.05 / 4)
    assert each.equivalence_interval.level == pytest.approx(1 - 0.10 / 4)
    assert each.p_holm == pytest.approx(
        min(1, 4 * each.p)
    )  # two equal ones: 4 p, then 3 p, not less


def test_contrasts_are_named_with_both_parameters(planned):
    found = analysed(planned, BASE, [21.0, 26.1, 30.9, 23.0], BASE)
    contrast = found.condition(LOW).contrasts[0].contrast
    assert contrast.parameters == {"sampler.center": 0.1}
    assert contrast.baseline_parameters == {"sampler.center": 0.01}


def test_a_summary_has_one_line_a_contrast_over_all_conditions(planned):
    up, down = [21.0, 26.1, 30.9, 23.0], [19.0, 24.1, 28.9, 21.0]
    found = analysed(planned, BASE, {LOW: up, HIGH: down}, up)
    mixed, agreed = found.summary
    assert mixed.verdict is None
    assert mixed.counts == {Verdict.BETTER: 1, Verdict.WORSE: 1}
    assert (mixed.lowest, mixed.highest) == pytest.approx((-1.0, 1.0), abs=0.05)
    assert (agreed.verdict, agreed.counts) == (Verdict.BETTER, {Verdict.BETTER: 2})
    assert (found.best.name, found.best.support) == ("sampler.center=0.2", "declared")


def test_a_recipe_that_is_worse_or_withheld_somewhere_is_not_the_one_to_use(planned):
    up, lost = [21.0, 26.1, 30.9, 23.0], [21.0, 26.1, NAN, 23.0]
    worse = [19.0, 24.1, 28.9, 21.0]
    for other in (lost, worse):
        found = analysed(planned, BASE, {LOW: up, HIGH: other}, BASE)
        assert (found.best.name, found.best.support) == ("baseline", "nothing_better")


def test_the_highest_mean_is_over_images_that_all_complete_trials_have(planned):
    lost = [NAN, 26.1, 30.9, 23.0]
    found = analysed(planned, lost, [21.0, 26.1, 30.9, 23.0], [19.0, 24.1, 28.9, 21.0])
    highest = found.condition(LOW).highest
    assert (highest.name, highest.mean) == ("sampler.center=0.1", pytest.approx(25.25))
    assert highest.baseline_mean is None  # it lost a fit, so it is not ranked
    assert found.condition(LOW).contrasts[0].reason is Reason.BASELINE_LOST_IMAGES


def test_a_failed_baseline_is_named_once(planned):
    found = analysed(planned, [NAN] * 4, BASE, BASE)
    assert found.condition(LOW).baseline_reason is Reason.BASELINE_FAILED
    assert {each.reason for each in found.condition(LOW).contrasts} == {Reason.BASELINE_FAILED}
    assert found.best.support == "baseline_failed"
    assert (found.fits.failed, len(found.failures)) == (8, 8)


def test_secondary_metrics_have_paired_differences_without_a_verdict(planned):
    found = analysed(planned, BASE, [21.0, 26.1, 30.9, 23.0], BASE)
    other = found.condition(LOW).trial("sampler.center=0.1").secondary["ssim"]
    assert (other.role, other.verdict, other.metric.decides) == ("secondary", None, False)
    assert other.n_images == 4


def test_any_two_trials_can_be_compared_either_way_round(planned):
    result = small.made(planned, BASE, [21.0, 26.1, 30.9, 23.0], [19.0, 24.2, 28.9, 21.0])
    study = analyse(result, small.header(planned))
    one = compare_trials(result, study, "sampler.center=0.1", "baseline", LOW)
    assert one.contrast.verdict is Verdict.BETTER
    back = compare_trials(result, study, "baseline", "sampler.center=0.1", LOW)
    assert back.contrast.verdict is Verdict.WORSE
    assert back.contrast.estimate == -one.contrast.estimate
    assert back.contrast.difference_interval.low == -one.contrast.difference_interval.high
    assert back.contrast.contrast.parameters == {"sampler.center": 0.01}
    pair = compare_trials(result, study, "sampler.center=0.1", "sampler.center=0.2", LOW).contrast
    assert (pair.role, pair.verdict) == ("exploratory", None)
    assert pair.contrast.parameters == {"sampler.center": 0.1}
    assert pair.difference_interval.level == pytest.approx(0.95)
    assert Caveat.NOT_DECLARED in pair.caveats
    for name in ("p", "p_holm", "p_sign_flip", "probability_equivalent", "planning", "sd"):
        assert getattr(back.contrast, name) == getattr(one.contrast, name), name
    assert back.contrast.wins.losses == one.contrast.wins.wins
    assert back.contrast.leave_one_out.low == -one.contrast.leave_one_out.high


def test_everything_is_plain_data(planned):
    found = analysed(planned, BASE, [21.0, NAN, 30.9, 23.0], [NAN] * 4)
    text = json.dumps(to_plain(found), allow_nan=False)
    assert json.loads(text)["conditions"][0]["contrasts"][0]["verdict"] == "withheld"


def test_a_demonstration_has_intervals_and_no_verdict():
    names = ("image 0", "image 1", "image 2")
    sides, rule = (side([0.5, 0.6, 0.55]), side([0.0, 0.0, 0.0])), Rule(PSNR, 1, names)
    known = primary(Contrast("center=0.2"), LOW, *sides, names, rule)
    assert known.verdict is Verdict.BETTER
    shown = primary(Contrast("center=0.2"), LOW, *sides, names, replace(rule, decides=False))
    assert (shown.verdict, shown.reason) == (Verdict.WITHHELD, Reason.DEMONSTRATION)
    assert shown.difference_interval == known.difference_interval
