"""Measured noise: which file is a shot of which scene, what is said of it, and what a study does with it."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from helpers.measured_pairs import SIDE, pairs, run, save, scene, shot, study

from n2n_ablate.errors import AblateError, ImageError, ParameterError, StudyError
from n2n_ablate.images import collect
from n2n_ablate.images.measured import read_measured
from n2n_ablate.images.pairs import find_scenes
from n2n_ablate.runner.session import Request, open_session

LAYOUTS = {
    "suffix": ("{n}_mean.png", "{n}_real.png"),
    "suffix-jpg": ("cam_{n}_mean.png", "cam_{n}_real.png"),
    "folders": ("GT/{n}.png", "Noisy/{n}.png"),
    "folders-lower": ("clean/{n}.png", "noisy/{n}.png"),
    "raw-numbered": ("gt/{n}.png", "raw/{n}_{k}.png"),
    "microscope": ("gt/{n}/avg50.png", "raw/{n}/HV110_{k}.png"),
    "scene-folders": ("s{n}/mean.png", "s{n}/{k}.png"),
    "scene-folders-gt": ("s{n}/s{n}_GT_SRGB.png", "s{n}/s{n}_NOISY_SRGB.png"),
    "beside": ("photo{n}.png", "photo{n}_noisy.png"),
    "beside-shots": ("photo{n}.png", "photo{n}_noisy_{k}.png"),
    "spaces": ("my scene {n} mean.png", "my scene {n} real.png"),
    "chinese": ("场景{n}_mean.png", "场景{n}_real.png"),
}


@pytest.mark.parametrize("name", LAYOUTS)
@pytest.mark.parametrize("shots", [1, 4])
def test_public_layouts_are_recognised(tmp_path, name, shots):
    form, noisy = LAYOUTS[name]
    if shots > 1 and "{k}" not in noisy:
        noisy = noisy.replace(".png", "_{k}.png")
    pairs(tmp_path, form, noisy, shots=shots)
    found = find_scenes(tmp_path)
    assert len(found) == 3
    for n, one in enumerate(found, 1):
        assert one.reference == tmp_path / form.format(n=n)
        assert list(one.shots) == sorted(
            tmp_path / noisy.format(n=n, k=k) for k in range(1, shots + 1)
        )
    assert len({one.name for one in found}) == 3


def test_folders_and_patterns_can_be_named(tmp_path):
    pairs(tmp_path, "one/{n}.png", "two/{n}.png")
    assert len(find_scenes(tmp_path, "one", "two")) == 3
    pairs(tmp_path / "flat", "{n}_a.png", "{n}_b.png")
    found = find_scenes(tmp_path / "flat", "*_a.png", "*_b.png")
    assert [one.shots[0].name for one in found] == ["1_b.png", "2_b.png", "3_b.png"]
    with pytest.raises(ImageError, match="both 'reference' and 'noisy'"):
        find_scenes(tmp_path, "one")


def test_hidden_files_beside_shots_are_no_shots(tmp_path):
    pairs(tmp_path)
    (tmp_path / "._1_real.png").write_bytes(b"\0")
    (tmp_path / ".cache").mkdir()
    (tmp_path / ".cache" / "9_real.png").write_bytes(b"\0")
    assert len(find_scenes(tmp_path)) == 3


@pytest.mark.parametrize(
    ("remove", "message"),
    [
        ("2_mean.png", "'.*2_real.png' has no reference"),
        ("2_real.png", "'.*2_mean.png' has no noisy shot"),
    ],
)
def test_a_missing_partner_is_named(tmp_path, remove, message):
    pairs(tmp_path)
    (tmp_path / remove).unlink()
    with pytest.raises(ImageError, match=message):
        find_scenes(tmp_path)


def test_what_is_no_set_of_pairs_says_what_would_be(tmp_path):
    with pytest.raises(ImageError, match="does not exist"):
        find_scenes(tmp_path / "nowhere")
    with pytest.raises(ImageError, match="no images in"):
        find_scenes(tmp_path)
    save(tmp_path / "a.png", scene(1))
    save(tmp_path / "b.png", scene(2))
    with pytest.raises(ImageError, match="nothing tells shots from references"):
        find_scenes(tmp_path)


def test_many_shots_without_a_reference_have_their_mean(tmp_path):
    for n in (1, 2):
        for k in range(4):
            save(tmp_path / f"scene{n}" / f"{k}.png", shot(n, k))
    found = read_measured(tmp_path)
    assert [len(own.shots) for own in found.scenes] == [4, 4]
    first = found.scenes[0]
    torch.testing.assert_close(first.image.pixels, torch.stack(first.shots).mean(dim=0))
    (tmp_path / "scene1" / "3.png").unlink()
    with pytest.raises(ImageError, match="at least 4 shots per scene"):
        read_measured(tmp_path)


def test_one_crop_for_reference_and_shots(tmp_path):
    (first, *_) = read_measured(pairs(tmp_path), crop=16).scenes
    whole = read_measured(tmp_path).scenes[0]
    assert first.image.pixels.shape[-2:] == (16, 16)
    assert torch.equal(first.shots[0], whole.shots[0][..., 12:28, 12:28])


def test_a_stack_of_shots_is_as_many_shots(tmp_path):
    import tifffile

    save(tmp_path / "GT" / "1.png", scene(1))
    (tmp_path / "Noisy").mkdir()
    stack = np.stack([shot(1, k) for k in range(3)]).clip(0, 255).astype(np.uint8)
    tifffile.imwrite(tmp_path / "Noisy" / "1.tif", stack, photometric="minisblack")
    assert len(read_measured(tmp_path).scenes[0].shots) == 3


def test_unequal_sizes_are_refused(tmp_path):
    save(pairs(tmp_path) / "2_real.png", shot(2, 1)[:, :-3])
    with pytest.raises(ImageError, match=r"scene '2': shot '2_real' has 40x37 .* has 40x40"):
        read_measured(tmp_path)


def test_a_reference_among_its_shots_is_refused(tmp_path):
    save(pairs(tmp_path) / "2_real.png", scene(2))
    with pytest.raises(ImageError, match="same pixels as its reference"):
        read_measured(tmp_path)


def test_what_limits_the_comparison_is_said(tmp_path):
    notes = read_measured(pairs(tmp_path / "plain", shots=2, noisy="{n}_real_{k}.png")).notes
    assert notes == ()
    save(pairs(tmp_path / "deep") / "1_mean.png", scene(1) * 257, np.uint16)
    assert any(
        "shots of 8 bits, reference of 16" in line
        for line in read_measured(tmp_path / "deep").notes
    )
    save(pairs(tmp_path / "moved") / "1_real.png", np.roll(shot(1, 1), (2, -3), (0, 1)))
    assert any(
        "moved by 2 rows and -3 columns" in line for line in read_measured(tmp_path / "moved").notes
    )
    save(pairs(tmp_path / "dim") / "1_mean.png", scene(1) * 1.2)
    assert any(
        line.startswith("1 of 3 references differ in brightness") and "0.8" in line
        for line in read_measured(tmp_path / "dim").notes
    )
    assert any("one shot per scene" in line for line in read_measured(tmp_path / "dim").notes)


def test_crops_of_one_scene_are_one_cluster(tmp_path):
    whole, noisy = np.hstack([scene(1), scene(2)]), np.hstack([shot(1, 1), shot(2, 1)])
    for n, left in enumerate((0, 20)):
        save(tmp_path / f"c{n}_mean.png", whole[:, left : left + 50])
        save(tmp_path / f"c{n}_real.png", noisy[:, left : left + 50])
    save(tmp_path / "other_mean.png", np.kron(scene(3), np.ones((1, 2)))[:, :50])
    save(tmp_path / "other_real.png", np.kron(shot(3, 1), np.ones((1, 2)))[:, :50])
    found = read_measured(tmp_path)
    assert [own.image.scene for own in found.scenes] == ["c0", "c0", "other"]


def test_pairs_given_as_clean_images_are_refused(tmp_path):
    with pytest.raises(ImageError, match="use --pairs"):
        collect([str(pairs(tmp_path))])
    with pytest.raises(ImageError, match="use --pairs"):
        collect([str(pairs(tmp_path / "sub", "GT/{n}.png", "Noisy/{n}.png"))])
    assert len(collect([str(tmp_path / "1_mean.png"), str(tmp_path / "2_mean.png")])) == 2


# In a study.


def test_seeds_choose_shots(folder):
    pairs(folder / "set", noisy="{n}_real_{k}.png", shots=2)
    path = study(folder, '{ pairs = "set" }', "seeds = [0, 1, 2],")
    data = open_session(Request(path)).paired_data
    assert [image.name for image in data.images] == ["1", "2", "3"]
    first = data.samples[:3]
    assert [sample.seed for sample in first] == [0, 1, 2]
    assert torch.equal(first[0].noisy, first[2].noisy)
    assert not torch.equal(first[0].noisy, first[1].noisy)
    keys = [fit.key for fit in data.fits(data.plan.baseline.recipe)]
    assert len(set(keys)) == 9


def test_conditions_have_images_of_their_own_and_may_be_mixed_with_models(folder, photo):
    pairs(folder / "canon", scenes=(1, 2))
    pairs(folder / "nikon", "GT/{n}.png", "Noisy/{n}.png", scenes=(2, 3, 4))
    photo(folder / "clean.png", channels=1, size=SIDE)
    conditions = (
        '{ pairs = "canon" }, { pairs = { folder = "nikon", reference = "GT", noisy = "Noisy" }, '
        'label = "ISO 3200" }, { noise = "gaussian" }'
    )
    path = study(folder, conditions, 'images = ["clean.png"],')
    data = open_session(Request(path)).paired_data
    found = [(sample.condition.label, sample.image.name) for sample in data.samples]
    assert found == [
        ("canon", "1"),
        ("canon", "2, canon"),
        ("ISO 3200", "2, ISO 3200"),
        ("ISO 3200", "3"),
        ("ISO 3200", "4"),
        ("gaussian", "clean"),
    ]
    # Scene 2 has the same pixels in both sets, so it is the same fit.
    assert len({fit.key for fit in data.fits(data.plan.baseline.recipe)}) == 5


@pytest.mark.parametrize(
    ("conditions", "message"),
    [
        ('{ pairs = "set", noise = "gaussian" }', "either 'noise', a model, or 'pairs'"),
        ('{ label = "x" }', "either 'noise', a model, or 'pairs'"),
        ('{ pairs = { reference = "a" } }', "'conditions\\[0\\].pairs' lacks 'noisy'"),
        ("{ pairs = 3 }", "must be a folder"),
        ('{ pairs = "nowhere" }', "condition 'nowhere': 'nowhere' does not exist"),
        ('{ noise = "gaussian" }', "images' is missing"),
    ],
)
def test_a_condition_that_makes_no_sense_is_one_line(folder, conditions, message):
    with pytest.raises(AblateError, match=message) as caught:
        open_session(Request(study(folder, conditions)))
    assert str(caught.value).isprintable()


def test_pairs_replace_the_noise_and_images_of_any_study(folder, tiny):
    pairs(folder / "set")
    session = open_session(Request(str(tiny), pairs=["set"]))
    assert [item.label for item in session.plan.conditions] == ["set"]
    assert session.plan.profile.images == ()
    assert len(session.paired_data.samples) == 3 * len(session.plan.profile.seeds)
    for wrong in ({"images": ["builtin"]}, {"settings": ["noise.sigma=5"]}):
        with pytest.raises(StudyError, match=r"measured"):
            open_session(Request(str(tiny), pairs=["set"], **wrong))


def test_the_shipped_study_says_how_to_get_pairs(folder, monkeypatch):
    monkeypatch.setenv("N2N_ABLATE_DATA", str(folder / "data"))
    with pytest.raises(ImageError, match=r"n2n-ablate images fetch cc.*--pairs FOLDER"):
        open_session(Request("real-noise"))


@pytest.fixture
def ran(folder):
    """A study of two shots per scene that was run, and the words that run it."""
    pairs(folder / "my 集", "场景 {n}_mean.png", "场景 {n}_real_{k}.png", shots=2)
    path = study(folder, '{ pairs = "my 集" }', "seeds = [0, 1],")
    words = ("study", path, "--tracking", "none", "--json")
    return words, json.loads(run(*words))


def test_a_replaced_shot_retrains_exactly_its_fits(folder, ran):
    words, first = ran
    assert (first["fits"]["total"], first["fits"]["cached"]) == (12, 0)
    assert first["noises"]["my 集"]["pairs"]["source"] == "my 集"
    again = json.loads(run(*words))
    assert again["fits"]["cached"] == 12
    save(folder / "my 集" / "场景 2_real_2.png", shot(2, 9))
    new = json.loads(run(*words))
    assert (new["fits"]["total"], new["fits"]["cached"]) == (12, 10)


def test_a_study_on_measured_noise_is_reopened_reported_and_compared(folder, ran):
    from n2n_ablate.registry import Registry
    from n2n_ablate.storage.recovered_images import gallery
    from n2n_ablate.storage.reopen import reopen

    found = reopen(Path("mlruns"), "measured")
    assert [row.image for row in found.result.trials[0].rows] == [
        f"场景_{n}" for n in (1, 1, 2, 2, 3, 3)
    ]
    images = gallery(found.header, Registry())
    assert not images.problems
    assert len(images.samples) == 6
    assert len(images.samples[0].shots) == 2
    drawn = ("--figures", "figures", "--figure-format", "png")
    run("report", "measured", "--format", "html", "-o", "page.html", *drawn)
    assert (folder / "figures" / "noise-my-集.png").is_file()
    text = (folder / "page.html").read_text(encoding="utf-8")
    assert "measured: pairs in my 集" in text
    assert "The measured noise, from shots that differ" in text
    run("compare", "measured", "stripe(axis=rows)", "baseline")
    run("best", "measured")
    save(folder / "my 集" / "场景 2_mean.png", scene(7))
    lost = gallery(found.header, Registry())
    assert any("2" in line for line in lost.problems)
    assert len(lost.samples) == 4


def test_plan_says_what_is_measured(folder):
    pairs(folder / "set")
    text = run("plan", study(folder, '{ pairs = "set" }'))
    assert "set (measured: pairs in set)" in " ".join(text.split())
    assert "one shot per scene" in text


def test_two_shots_need_two_shots(folder):
    path = study(folder, '{ pairs = "set" }')
    pairs(folder / "set", noisy="{n}_real_{k}.png")
    with pytest.raises(ParameterError, match="at least two shots per scene"):
        open_session(Request(path, settings=["sampler=two-shots"]))
    pairs(folder / "set", noisy="{n}_real_{k}.png", shots=2)
    run("study", path, "--set", "sampler=two-shots", "--tracking", "none", "--seeds", "2")


def test_two_shots_are_fits_of_all_that_they_see(folder):
    pairs(folder / "set", noisy="{n}_real_{k}.png", shots=3)
    path = study(folder, '{ pairs = "set" }')

    def keys():
        data = open_session(Request(path, settings=["sampler=two-shots"])).paired_data
        return {
            trial.recipe.specs["sampler"].name: [fit.key for fit in data.fits(trial.recipe)]
            for trial in data.plan.fixed
        }

    before = keys()
    save(folder / "set" / "2_real_3.png", shot(2, 9))  # no seed uses it
    after = keys()
    assert after["diagonal"] == before["diagonal"]
    changed = [a != b for a, b in zip(after["two-shots"], before["two-shots"], strict=True)]
    assert changed == [False, True, False]


def test_measured_fits_travel_to_workers(folder):
    from n2n_ablate.engine.identity import Fingerprints
    from n2n_ablate.execute import bundle, task
    from n2n_ablate.registry import Registry

    pairs(folder / "set", noisy="{n}_real_{k}.png", shots=2)
    data = open_session(
        Request(
            study(folder, '{ pairs = "set" }'), settings=["sampler=two-shots"], precision="fp32"
        )
    ).paired_data
    registry = Registry()
    for trial in data.plan.fixed:
        fits = data.fits(trial.recipe)[:1]
        images = {
            task.content(image) for fit in fits for image in (fit.noisy, fit.clean, *fit.shots)
        }
        text = task.written(fits, data.machine, Fingerprints(registry))
        found = task.train(text, bundle.packed(registry), *images)
        assert "refused" not in found, found
        assert task.unpacked(*found["results"][0]).key == fits[0].key


def test_a_race_over_several_measured_sets_is_refused(folder):
    from n2n_ablate.runner.interim import sizes_for

    for name in ("one", "two"):
        pairs(folder / name)
    data = open_session(Request(study(folder, '{ pairs = "one" }, { pairs = "two" }'))).paired_data
    with pytest.raises(StudyError, match="one --pairs at a time"):
        sizes_for(data)
    single = open_session(Request(study(folder, '{ pairs = "one" }'))).paired_data
    assert sizes_for(single)


def test_the_measured_noise_of_shots_is_diagnosed(folder):
    """Differences of shots hold noise alone, so a leak of row noise is one."""
    from n2n_ablate.analysis.diagnoses import Diagnoses
    from n2n_ablate.registry import Registry

    for n in (1, 2):
        save(folder / "set" / f"{n}_mean.png", scene(n))
        for k in range(4):
            rows = np.random.default_rng(10 * n + k).normal(0, 12, (SIDE, 1))
            save(folder / "set" / f"{n}_real_{k}.png", scene(n) + rows)
    data = open_session(Request(study(folder, '{ pairs = "set" }'))).paired_data
    measured = Diagnoses(Registry())
    leaks = {
        trial.recipe.specs["sampler"].name: measured.of(trial.recipe, data.samples)[
            "set"
        ].total.leak.value
        for trial in data.plan.fixed
    }
    assert leaks["diagonal"] == pytest.approx(1, abs=0.2)
    assert abs(leaks["stripe"]) < 0.3


def test_mlflow_knows_measured_images_by_their_source_and_shots(folder):
    from n2n_ablate.tracking.record import dataset

    pairs(folder / "set", noisy="{n}_real_{k}.png", shots=2)
    path = study(folder, '{ pairs = "set" }')
    before = dataset(["set"], open_session(Request(path)).paired_data.samples)
    assert before.name == "set"
    assert set(before.source) == {"1", "2", "3"}
    save(folder / "set" / "2_real_2.png", shot(2, 9))
    after = dataset(["set"], open_session(Request(path)).paired_data.samples)
    assert after.digest != before.digest
