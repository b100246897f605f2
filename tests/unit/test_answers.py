"""What is said of results where fits failed: no false sentence, and nothing that vanishes."""

from dataclasses import replace

import pytest
import small
from small import BASE, HIGH, LOW, NAN, TEXT, header, made, sentence, trial

from n2n_ablate.analysis import StudyResult, answer
from n2n_ablate.analysis.best import choose
from n2n_ablate.analysis.compare import compare, sentences
from n2n_ablate.analysis.confirmed import search_best
from n2n_ablate.analysis.export import to_json
from n2n_ablate.study import Trial, confirmation


@pytest.fixture
def planned(folder, registry):
    return small.planned(folder, registry)


def test_a_baseline_without_any_result_is_said_first_and_nothing_is_compared_with_it(planned):
    result = made(planned, [NAN] * 4, [20.0, NAN, 30.0, 22.0], BASE)
    assert sentence(result) == (
        "The baseline (sampler.center=0.01) lost all its fits, so nothing can be compared; 4 images of "
        "24x24 pixels, 30 steps, 1 seed, low."
    )
    assert answer.best_sentence(result, LOW) == (
        "Highest mean PSNR: sampler.center=0.2 with 24.25 dB; it cannot be compared, the baseline lost "
        "all its fits."
    )
    found = choose(result)
    assert found.trial is planned.baseline
    assert found.reasons[0] == (
        "The baseline (sampler.center=0.01) lost all its fits, so nothing can be compared with it."
    )
    assert not any("so it stays" in reason for reason in found.reasons)
    assert found.reasons[2] == (
        "sampler.center=0.2 has the highest mean of all trials: it cannot be compared, the baseline "
        "failed. --trial 'sampler.center=0.2' takes it all the same."
    )


def test_a_baseline_that_failed_in_the_confirmation_is_said_there(planned):
    later = made(planned, [NAN] * 4, BASE, BASE)
    better = made(planned, BASE, BASE, [value + 1 + value / 100 for value in BASE])
    result = replace(better, confirmed=later)
    own = header(planned)
    told = answer.sentence(result, own.with_confirmed(own), LOW)
    assert told.startswith("Tried again on images and seeds that no trial ever saw: the baseline")
    assert "the baseline (sampler.center=0.01) lost all its fits" in told
    found = choose(result)
    assert "lost all its fits in the confirmation, so nothing can be compared" in found.reasons[0]
    assert "it cannot be compared, the baseline failed" in found.reasons[2]


def test_a_baseline_that_failed_under_one_condition_is_said_under_that_one(planned):
    result = made(planned, {LOW: BASE, HIGH: [NAN] * 4}, BASE, [value + 1 for value in BASE])
    assert "lost all its fits" not in sentence(result, LOW)
    assert "so nothing can be compared" in sentence(result, HIGH)
    assert (
        "lost 4 of its 8 fits, so nothing can be compared under high" in choose(result).reasons[1]
    )


def test_a_contrast_that_shares_no_image_with_an_unstable_baseline_is_named(planned):
    result = made(planned, [20.0, NAN, NAN, NAN], BASE, [NAN, 25.0, 30.0, 22.0])
    assert "0.2 has no result that can be compared" in sentence(result)
    assert "0.1 is not distinguishable" in sentence(result)


def test_a_baseline_with_no_whole_image_did_not_lose_all_fits(planned):
    result = made(planned, BASE, BASE, BASE)
    base = result.trials[0]
    again = [
        replace(row, seed=1, result=replace(row.result, figures={}, failure="diverged"))
        for row in base.rows
    ]
    seeded = replace(base, rows=(*base.rows, *again))
    told = sentence(replace(result, trials=(seeded, *result.trials[1:])))
    assert "lost a fit on every image, so nothing can be compared" in told


def test_equal_differences_do_not_hide_the_images_that_a_trial_lost(planned):
    result = made(planned, BASE, [20.0, 25.0, 30.0, NAN], [20.0, NAN, NAN, NAN])
    told = sentence(result)
    assert (
        "0.1 is not distinguishable from it (+0.00 (all equal) dB; no difference on the 3 images that"
        in told
    )
    assert "both have; 1 image lost)" in told
    assert "(n=1) dB; one image that both have gives no interval; 3 images lost)" in told
    assert (
        "no difference on the 3 images that both have; 1 image lost."
        in (sentences(compare(result, result.trials[1], result.trials[0], LOW), 0.05)[0])
    )


def test_the_scope_counts_the_images_that_a_difference_rests_on(planned):
    shorter = [20.0, 25.0, NAN, 22.0]
    result = made(planned, shorter, [19.0, 24.1, NAN, 20.9], [21.0, 26.1, NAN, 22.9])
    assert not any(line.difference.caveat for line in result.lines(LOW) if line.difference)
    assert "; 3 of 4 images of 24x24 pixels" in sentence(result)
    data = to_json(result, header(planned))["conditions"][0]
    assert data["scope"].startswith("3 of 4 images")
    whole = made(planned, BASE, [19.0, 24.1, NAN, 20.9], [21.0, 26.1, 30.9, 22.9])
    assert "; 4 images of 24x24 pixels" in sentence(whole)  # one difference has them all


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
        result = StudyResult(known, tuple(trial(*pair) for pair in given))
        later = StudyResult(confirmation(known), result.trials[:2])
        return replace(result, confirmed=later)

    return make


def test_what_a_search_found_is_averaged_over_conditions_as_when_it_is_chosen(searched):
    level, low, high = [20.0, 25.0], [19.0, 24.0], [20.5, 25.5]
    base, mixed = {LOW: level, HIGH: level}, {LOW: high, HIGH: low}
    nothing = "earch found nothing above the baseline, averaged over the conditions, so no trial"
    # Both lead the table of one condition, and neither is above the baseline over all.
    told = search_best(searched(base=base, contrast=mixed, found=mixed))
    assert told.startswith(f"The s{nothing}")
    above = {LOW: high, HIGH: level}
    told = search_best(searched(base=base, contrast=above, found=mixed))
    assert told.startswith(f"Apart from declared contrasts the s{nothing}")
    lost = {LOW: [NAN, NAN], HIGH: [NAN, NAN]}
    told = search_best(searched(base=lost, contrast=base, found=lost))
    assert told == "No trial of the search has all its results, so none of its own was confirmed."
