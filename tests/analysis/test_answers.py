"""What is said of results where fits failed: no false sentence, and nothing that vanishes."""

from dataclasses import replace

import pytest
from helpers import small_results as small
from helpers.sample_analysis import contrast
from helpers.small_results import BASE, HIGH, LOW, NAN, TEXT, analysis, header, made, records, trial

from n2n_ablate.analysis.analyse import analyse, to_json
from n2n_ablate.analysis.records import Reason, Verdict
from n2n_ablate.analysis.study_records import SearchOutcome, Support
from n2n_ablate.records import StudyTrials
from n2n_ablate.report.study import answer_blocks
from n2n_ablate.report.text.best import best_reasons
from n2n_ablate.report.text.contrasts import contrast_line
from n2n_ablate.report.text.notes import verdict_note
from n2n_ablate.report.text.study import highest_text, scope_text, search_text
from n2n_ablate.study import Trial, confirmation


@pytest.fixture
def planned(folder, registry):
    return small.planned(folder, registry)


def answer(found, condition=LOW):
    """The text of an answer, a line per paragraph or contrast."""
    blocks = answer_blocks(found, found.condition(condition), dots=False)
    return "\n".join(
        line for block in blocks for line in getattr(block, "lines", None) or [block.text]
    )


def test_a_baseline_without_any_result_is_said_first_and_nothing_is_compared_with_it(planned):
    found = analysis(made(planned, [NAN] * 4, [20.0, NAN, 30.0, 22.0], BASE))
    here = found.condition(LOW)
    assert here.baseline_reason is Reason.BASELINE_FAILED
    assert {record.estimate for record in here.contrasts} == {None}
    assert answer(found).startswith(
        "The baseline failed on every image, so nothing can be compared"
    )
    assert (here.highest.name, here.highest.mean) == ("sampler.center=0.2", 24.25)
    assert highest_text(found, here) == "Highest mean PSNR: center = 0.2, 24.25 dB."
    assert found.best.name == "baseline"
    assert found.best.support is Support.BASELINE_FAILED
    assert "is kept by default" in " ".join(best_reasons(found))


def test_a_baseline_that_failed_in_the_confirmation_is_said_there(planned):
    later = made(planned, [NAN] * 4, BASE, BASE)
    better = made(planned, BASE, BASE, [value + 1 + value / 100 for value in BASE])
    known = header(planned)
    found = analyse(replace(better, confirmed=later), known.with_confirmed(known))
    assert answer(found).startswith("The baseline failed on every image")
    assert found.best.support is Support.BASELINE_FAILED
    assert found.best.highest == "sampler.center=0.2"


def test_a_baseline_that_failed_under_one_condition_is_said_under_that_one(planned):
    result = made(planned, {LOW: BASE, HIGH: [NAN] * 4}, BASE, [value + 1 for value in BASE])
    found = analysis(result)
    assert "The baseline failed" not in answer(found, LOW)
    assert "The baseline failed on every image" in answer(found, HIGH)
    assert (found.best.baseline_failed_fits, found.best.baseline_fits) == (4, 8)
    assert "The baseline failed in 4 of 8 fits." in best_reasons(found)


def test_a_contrast_that_shares_no_image_with_an_unstable_baseline_is_named(planned):
    found = records(made(planned, [20.0, NAN, NAN, NAN], BASE, [NAN, 25.0, 30.0, 22.0]))
    lost = found["sampler.center=0.2"]
    assert (lost.verdict, lost.reason) == (Verdict.WITHHELD, Reason.NO_COMMON_IMAGE)
    assert contrast_line(lost) == "center = 0.2 vs 0.01: no result: no image has results of both"
    assert found["sampler.center=0.1"].verdict is Verdict.WITHHELD


def test_equal_differences_do_not_hide_the_images_that_a_trial_lost(planned):
    found = records(made(planned, BASE, [20.0, 25.0, 30.0, NAN], [20.0, NAN, NAN, NAN]))
    one, two = found["sampler.center=0.1"], found["sampler.center=0.2"]
    assert {one.reason, two.reason} == {Reason.TRIAL_LOST_IMAGES}
    assert (one.n_images, one.lost_by_trial, two.lost_by_trial) == (3, 1, 3)
    assert contrast_line(one) == (
        "center = 0.1 vs 0.01: verdict withheld: the trial failed on 1 image (+0.00 dB)"
    )


def test_the_scope_counts_the_images_that_a_difference_rests_on(planned):
    shorter = [20.0, 25.0, NAN, 22.0]
    result = made(planned, shorter, [19.0, 24.1, NAN, 20.9], [21.0, 26.1, NAN, 22.9])
    scope = analysis(result).condition(LOW).scope
    assert (scope.n_compared, scope.n_images) == (3, 4)
    assert scope_text(scope, LOW) == "3 of 4 images of 24\u00d724 pixels, 30 steps, 1 seed, low"
    assert to_json(result, header(planned))["conditions"][0]["scope"]["n_compared"] == 3
    whole = made(planned, BASE, [19.0, 24.1, NAN, 20.9], [21.0, 26.1, 30.9, 22.9])
    assert analysis(whole).condition(LOW).scope.n_compared == 4  # one difference has them all


@pytest.fixture
def searched(folder, registry):
    """Makes a confirmed search without a best of its own: PSNR of baseline, contrast and searched trial."""
    text = TEXT.replace('"one-at-a-time"', '"search"\ncontrasts = [{ "sampler.center" = 0.1 }]')
    text = text.replace("[0.1, 0.2]", "{ low = 0.0, high = 0.5, levels = [0.1] }")
    confirm = 'trials = 3\nconfirm = { images = ["builtin:camera"] }\n'
    known = small.planned(folder, registry, f"{text}{confirm}")

    def make(**psnrs):
        trials = [*known.fixed, Trial("sampler.center=0.3", "search", known.baseline.recipe, {})]
        given = zip(trials, (psnrs["base"], psnrs["contrast"], psnrs["found"]), strict=True)
        result = StudyTrials(known, tuple(trial(*pair) for pair in given))
        later = StudyTrials(confirmation(known), result.trials[:2])
        one = header(known)
        return analyse(
            replace(result, confirmed=later),
            one.with_confirmed(replace(one, plan=later.plan)),
        )

    return make


def test_what_a_search_found_is_averaged_over_conditions_as_when_it_is_chosen(searched):
    level, low, high = [20.0, 25.0], [19.0, 24.0], [20.5, 25.5]
    base, mixed = {LOW: level, HIGH: level}, {LOW: high, HIGH: low}
    # Both lead the table of one condition, and neither is above the baseline over all.
    found = searched(base=base, contrast=mixed, found=mixed)
    assert found.confirmation.search is SearchOutcome.NONE_ABOVE_BASELINE
    assert search_text(found).startswith("No trial that the search added has a better mean")
    lost = {LOW: [NAN, NAN], HIGH: [NAN, NAN]}
    found = searched(base=lost, contrast=base, found=lost)
    assert found.confirmation.search is SearchOutcome.NO_COMPLETE_TRIAL
    assert search_text(found).startswith("Every trial of the search lost a fit")


@pytest.mark.parametrize("verdict", Verdict)
def test_every_verdict_has_its_sentence_and_its_note(verdict):
    record = contrast(0.2, verdict, 0.3, 0.1, reason=Reason.ONE_IMAGE)
    assert verdict.value in contrast_line(record)
    assert verdict.value in verdict_note([record]).lower()
