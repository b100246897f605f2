"""The variance account with seeds of noise and of training apart."""

import importlib.util
import json
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"
sys.path.insert(0, str(BENCHMARKS))
from crossed import SOURCES, crossed

sys.path.remove(str(BENCHMARKS))
SHARED = {"image": 2.0, "noise": 0.1, "training": 0.03, "rest": 0.02}
OWN = {"image": 0.12, "noise": 0.03, "training": 0.05, "rest": 0.02}  # of one trial


def drawn(rng, shape, spread=None):
    """Values with these standard deviations, shape (images, noises, trainings)."""
    images, noises, trainings = shape
    sizes = {
        "image": (images, 1, 1),
        "noise": (images, noises, 1),
        "training": (images, 1, trainings),
        "rest": shape,
    }
    return sum(sd * rng.standard_normal(sizes[name]) for name, sd in spread.items())


def two_trials(rng, shape):
    both = 28 + drawn(rng, shape, SHARED)
    return 0.3 + both + drawn(rng, shape, OWN), both + drawn(rng, shape, OWN)


def test_a_case_worked_by_hand():
    # Differences, noise down and training across: image one 1 3 / 5 7, image two 1 1 / 1 1
    gaps = np.array([[[1.0, 3.0], [5.0, 7.0]], [[1.0, 1.0], [1.0, 1.0]]])
    found = crossed(gaps, np.zeros_like(gaps))
    # Image one: noise means 2, 6, training means 3, 5, mean 4, nothing left over.
    # Mean squares: noise 2 * (4 + 4) / 2 = 8, training 2 * (1 + 1) / 2 = 2, rest 0,
    # image 4 * (1.5^2 + 1.5^2) / 1 = 18. So noise^2 = 8 / 2, training^2 = 2 / 2, image^2 = 8 / 4.
    assert found.own["noise"].sd == pytest.approx(2)
    assert found.own["training"].sd == pytest.approx(1)
    assert found.own["rest"].sd == pytest.approx(0)
    assert found.own["image"].sd == pytest.approx(np.sqrt(2))
    # of the mean: image 2 / 2, noise 4 / 4, training 1 / 4
    assert found.share == pytest.approx(
        {"image": 1 / 2.25, "noise": 1 / 2.25, "training": 0.25 / 2.25, "rest": 0}
    )


def test_every_source_is_found_again():
    found = crossed(*two_trials(np.random.default_rng(0), (400, 3, 4)))
    for name in SOURCES:
        assert found.shared[name].sd == pytest.approx(SHARED[name], rel=0.1)
        assert found.own[name].sd == pytest.approx(OWN[name] * np.sqrt(2), rel=0.1)
    assert sum(found.share.values()) == pytest.approx(1)


def test_what_both_trials_share_is_in_no_difference():
    rng = np.random.default_rng(1)
    first, second = two_trials(rng, (6, 2, 2))
    more = drawn(rng, (6, 2, 2), {"image": 5.0, "noise": 3.0, "training": 1.0, "rest": 1.0})
    before, after = crossed(first, second), crossed(first + more, second + more)
    for name in SOURCES:
        assert after.own[name].sd == pytest.approx(before.own[name].sd, abs=1e-9)
    assert after.share == pytest.approx(before.share)


@pytest.mark.parametrize("name", SOURCES)
def test_intervals_hold_as_often_as_they_promise(name):
    rng = np.random.default_rng(SOURCES.index(name))
    held = {"own": 0, "shared": 0}
    rounds = 400
    for _ in range(rounds):
        found = crossed(*two_trials(rng, (6, 2, 2)))
        own, shared = found.own[name], found.shared[name]
        held["own"] += own.low <= OWN[name] * np.sqrt(2) <= own.high
        held["shared"] += shared.low <= SHARED[name] <= shared.high
    assert held["own"] / rounds >= 0.92
    assert held["shared"] / rounds >= 0.92


@pytest.mark.parametrize("shape", [(6, 2), (1, 2, 2), (6, 1, 2), (6, 2, 1)])
def test_one_of_something_cannot_be_taken_apart(shape):
    with pytest.raises(ValueError, match="two of each or more, got"):
        crossed(np.zeros(shape), np.zeros(shape))


# The benchmark that measures it.


@pytest.fixture(scope="module")
def seeds():
    spec = importlib.util.spec_from_file_location("seeds", BENCHMARKS / "seeds.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_noise_and_training_are_crossed(seeds):
    bench = seeds.opened(2, ["training.steps=2"])
    declared = {trial.name: trial for trial in bench.plan.declared}
    trials = [bench.plan.baseline, *(declared[name] for name in seeds.TRIALS)]
    arms = [list(seeds.crossed_fits(bench, trial, 2)) for trial in trials]
    usual = bench.fits(trials[0].recipe)
    for arm in arms:
        images = [arm[place : place + 4] for place in range(0, len(arm), 4)]
        assert len(images) == len(seeds.NAMES)
        for place, four in enumerate(images):
            one, other, *rest = four
            assert torch.equal(one.noisy, other.noisy)
            assert not torch.equal(one.noisy, rest[0].noisy)
            assert torch.equal(one.clean, rest[0].clean)
            weights = [each.init_seed for each in four]
            draws = [
                int(torch.randint(10**9, (1,), generator=each.rng("sampler"))) for each in four
            ]
            for told in (weights, draws):
                assert told[:2] == told[2:]
                assert told[0] != told[1]
            # where both seeds are one, it is the fit of a study
            for own, where in ((one, 2 * place), (rest[1], 2 * place + 1)):
                assert own.init_seed == usual[where].init_seed
                assert torch.equal(own.noisy, usual[where].noisy)
    assert [each.init_seed for each in arms[0]] == [each.init_seed for each in arms[1]]
    assert len({each.key for arm in arms for each in arm}) == sum(map(len, arms))


def test_the_page_has_every_source(seeds):
    gaps = np.random.default_rng(0).normal(0, 0.1, (6, 2, 2))
    found = {"stripe": crossed(28 + gaps, np.full_like(gaps, 28))}
    about = {"steps": 5, "differences": {"stripe": 0.1}, "command": "python", "machine": "CPU"}
    text = seeds.page(found, gaps, about)
    for word in (
        "| image |",
        "| noise seed |",
        "| training seed |",
        "| noise seed x training seed |",
    ):
        assert word in text


def test_what_is_quoted_of_the_measured_account_follows_from_its_values():
    found = json.loads((BENCHMARKS.parent / "docs/results/account.json").read_text())
    psnr = {name: np.array(values) for name, values in found["psnr"].items()}
    base = psnr.pop("diagonal")
    assert base.shape == (6, 2, 2)
    accounts = [crossed(own, base) for own in psnr.values()]
    page = BENCHMARKS.parent / "docs/explanation/fairness-and-statistics.md"
    text = " ".join(page.read_text(encoding="utf-8").split())

    def ends(name):
        return sorted(account.own[name].sd for account in accounts)

    for name, word in (("noise", "noise"), ("training", "training"), ("image", "trial x image")):
        assert "{} {:.2f} to {:.2f} dB".format(word, *ends(name)) in text
    shares = sorted(account.share["image"] * 100 for account in accounts)
    assert "{:.0f} to {:.0f} % of the variance of the mean".format(*shares) in text
