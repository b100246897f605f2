"""Finished fits: written whole, checked when read, told apart by everything that matters."""

import contextlib
import dataclasses
import os
import stat

import numpy as np
import pytest

from n2n_ablate import locks
from n2n_ablate.components.recipe import Recipe
from n2n_ablate.components.spec import ComponentSpec
from n2n_ablate.engine.identity import Fingerprints, stream
from n2n_ablate.errors import BusyError, StoreError, StoreUnavailableError
from n2n_ablate.files import write_whole
from n2n_ablate.records import FitResult
from n2n_ablate.registry.source import source_digest
from n2n_ablate.storage.fit_store import FitStore
from n2n_ablate.storage.output import FOLDERS, Output

KEY = "ab" * 16


def result(**changes):
    fortran = np.arange(60, dtype=np.uint16).reshape(4, 5, 3).transpose(2, 0, 1)
    usual = FitResult(
        key=KEY,
        figures={"psnr": 27.125, "loss": 0.1},
        steps=np.array([1, 2], dtype=np.int32),
        curves={"psnr": np.array([[20.0, 1], [27.125, 2]], dtype=np.float32)[:, 0]},
        denoised=fortran,
        seconds=1.5,
    )
    return dataclasses.replace(usual, **changes)


@pytest.fixture
def store(tmp_path):
    return FitStore(Output(tmp_path / "out"))


def test_what_goes_in_comes_out_whatever_the_memory_layout(store):
    store.save(result())
    found = store.load(KEY, with_image=True)
    assert found.figures == result().figures
    assert np.array_equal(found.denoised, result().denoised)
    assert np.array_equal(found.curves["psnr"], result().curves["psnr"])
    assert found.seconds == 1.5
    assert store.load(KEY).denoised is None
    assert not store.damaged


def test_a_failed_fit_is_kept_as_failed(store):
    store.save(result(denoised=None, failure="diverged by step 3", figures={"psnr": float("nan")}))
    assert store.load(KEY).failure == "diverged by step 3"


def test_what_is_not_there_is_none(store):
    assert store.load(KEY) is None
    assert not store.damaged


@pytest.mark.parametrize("damage", ["cut", "flip", "empty", "other"])
def test_a_damaged_file_is_set_aside_and_counts_as_missing(store, damage):
    store.save(result())
    path = store.path(KEY)
    content = bytearray(path.read_bytes())
    if damage == "cut":
        content = content[: len(content) // 2]
    elif damage == "flip":
        content[-7] ^= 1
    elif damage == "empty":
        content = bytearray()
    else:
        content = bytearray(b"not a result at all")
    path.write_bytes(content)
    assert store.load(KEY, with_image=damage == "flip") is None  # the last bytes are the image's
    assert store.damaged == [path]
    assert path.with_suffix(".damaged").exists()
    assert not path.exists()


def test_an_image_that_is_damaged_does_not_cost_the_figures(store):
    store.save(result())
    path = store.path(KEY)
    content = bytearray(path.read_bytes())
    content[-7] ^= 1
    path.write_bytes(content)
    assert store.load(KEY).figures == result().figures
    content[content.index(b"27.125")] ^= 1
    path.write_bytes(content)
    assert store.load(KEY) is None


def reading(tmp_path):
    return FitStore(Output(tmp_path / "out", reading=True), reading=True)


def same(one, other):
    """Say whether a result is the other, but for the image."""
    plain = ("key", "figures", "seconds", "failure", "passing")
    names = set(one.curves) | set(other.curves)
    arrays = [(one.steps, other.steps), *((one.curves[name], other.curves[name]) for name in names)]
    return all(getattr(one, name) == getattr(other, name) for name in plain) and all(
        a.dtype == b.dtype and np.array_equal(a, b) for a, b in arrays
    )


@pytest.mark.parametrize("block", range(3))
def test_a_flipped_bit_never_gives_another_result(store, tmp_path, block):
    """One bit after the other, of every byte of a file, its header included."""
    store.save(result())
    path = store.path(KEY)
    content = path.read_bytes()
    reader = reading(tmp_path)
    lost = 0
    for place in range(len(content)):
        damaged = bytearray(content)
        damaged[place] ^= 1 << (place + block) % 8
        path.write_bytes(damaged)
        shown = reader.load(KEY, with_image=True)
        assert path.read_bytes() == damaged, "a reader changes nothing"
        found = store.load(KEY)
        assert found is None or same(found, result()), place
        assert (found is None) == (shown is None) == (not path.exists()), place
        if shown is not None:
            assert same(shown, result()), place
            image = shown.denoised
            assert image is None or np.array_equal(image, result().denoised), place
            assert (image is None) == (path in reader.imageless), place
        lost += found is None
        reader.imageless.clear()
    assert len(store.damaged) == len(reader.damaged) == lost > len(content) / 2


def test_who_only_reads_keeps_the_figures_of_a_fit_whose_image_is_damaged(store, tmp_path):
    store.save(result())
    path = store.path(KEY)
    content = bytearray(path.read_bytes())
    content[-7] ^= 1
    path.write_bytes(content)
    reader = reading(tmp_path)
    assert reader.load(KEY).figures == result().figures
    assert reader.imageless_told() == []
    found = reader.load(KEY, with_image=True)
    assert found.figures == result().figures
    assert found.denoised is None
    (told,) = reader.imageless_told()
    assert f"damaged and left out: '{path}'. Delete the files, and running" in told
    assert path.exists()
    assert not reader.damaged


def test_a_file_under_another_name_is_not_believed(store):
    store.save(result())
    other = "cd" * 16
    store.path(other).parent.mkdir()
    store.path(KEY).rename(store.path(other))
    assert store.load(other) is None


def test_a_crash_while_writing_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "file"
    path.write_bytes(b"old")
    monkeypatch.setattr(os, "fsync", lambda _: (_ for _ in ()).throw(OSError("disk full")))
    with pytest.raises(OSError, match="disk full"):
        write_whole(path, b"new")
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


READ_ONLY = stat.S_IRUSR | stat.S_IXUSR


def test_a_read_only_folder_is_named(mortal):
    mortal.chmod(READ_ONLY)
    with pytest.raises(StoreError, match="/out' cannot be written: Permission denied"):
        Output(mortal / "out")


@pytest.mark.parametrize("name", ["", *FOLDERS])
def test_a_read_only_folder_in_an_output_folder_is_named_at_the_start(mortal, name):
    Output(mortal / "out")
    (mortal / "out" / name).chmod(READ_ONLY)
    told = f"'{mortal / 'out' / name}'( in the output folder)? cannot be written: Permission denied"
    with pytest.raises(StoreError, match=told):
        Output(mortal / "out")
    Output(mortal / "out", reading=True)


def test_a_lock_that_cannot_be_taken_is_named(mortal):
    output = Output(mortal / "out")
    (mortal / "out" / "locks").chmod(READ_ONLY)
    for lock in (output.lock("study", "busy"), locks.opening(output.root, print)):
        with pytest.raises(StoreError, match=r"lock '.*\.lock' cannot be taken: Permission"), lock:
            pass


def test_an_output_that_is_a_file_is_named(tmp_path):
    (tmp_path / "out").write_text("")
    with pytest.raises(StoreError, match=r"cannot be written: .* Use --output DIR"):
        Output(tmp_path / "out")


def test_a_lock_keeps_a_second_holder_out_until_it_is_released(tmp_path):
    output = Output(tmp_path)
    for _ in range(2):
        with (
            output.lock("study", "busy"),
            pytest.raises(BusyError, match=f"^held by n2n-ablate, process {os.getpid()} on .+$"),
            Output(tmp_path).lock("study", "held by {owner}"),
        ):
            pass


def test_a_lock_without_a_name_still_keeps_others_out(tmp_path):
    output = Output(tmp_path)
    (tmp_path / "locks" / "study.owner").mkdir()  # so that nobody can write there
    with (
        output.lock("study", "busy"),
        pytest.raises(BusyError, match=r"^held by another process$"),
        Output(tmp_path).lock("study", "held by {owner}"),
    ):
        pass


def test_a_process_that_opens_the_stores_is_waited_for_with_a_word_and_not_for_ever(
    tmp_path, monkeypatch
):
    monkeypatch.setattr(locks, "_QUIET", 0.05)
    monkeypatch.setattr(locks, "_PATIENCE", 0.05)
    said = []
    what = f"another process is opening the stores in '{tmp_path}'"
    with locks.opening(tmp_path, said.append):
        assert said == []
        with pytest.raises(StoreUnavailableError) as caught, locks.opening(tmp_path, said.append):
            pass
    assert said == [f"{what}: waiting up to 0 s for it"]
    assert str(caught.value).startswith(f"{what} and does not come to an end")

    def end(message):
        said.append(message)
        first.close()

    monkeypatch.setattr(locks, "_PATIENCE", 60.0)
    first = contextlib.ExitStack()
    first.enter_context(locks.opening(tmp_path, said.append))
    with locks.opening(tmp_path, end):
        assert said[1:] == [f"{what}: waiting up to 60 s for it"]


BASE = Recipe(
    {
        "sampler": ComponentSpec("three-by-three", {"center": 0.01}),
        "training": ComponentSpec("adam", {"lr": 0.1}),
    }
)


def key(registry, **changes):
    usual = {
        "images": ("1", "2"),
        "noise": ComponentSpec("gaussian", {"sigma": 25.0}),
        "recipe": BASE,
        "seed": 0,
        "computation": "cpu fp32",
        "metrics": {"psnr": ComponentSpec("psnr")},
    }
    return Fingerprints(registry).fit_key(**(usual | changes))


def test_everything_that_can_change_a_fit_changes_its_key(registry):
    keys = {
        key(registry),
        key(registry, images=("2", "2")),
        key(registry, images=("1", "1")),  # another noisy image
        key(registry, images=("1", "2", "3")),  # another shot that the sampler sees
        key(registry, noise=ComponentSpec("gaussian", {"sigma": 50.0})),
        key(registry, noise=None),
        key(registry, recipe=BASE.replace("sampler.center", 0.02)),
        key(registry, seed=1),
        key(registry, computation="cuda fp32"),
        key(registry, computation="cpu fp32 kernel"),
    }
    assert len(keys) == 10
    assert key(registry) == key(registry)


def test_comments_and_docstrings_do_not_change_a_component_but_code_does(folder):
    import importlib.util
    import sys

    def load(name, text):
        (folder / f"{name}.py").write_text(text)
        spec = importlib.util.spec_from_file_location(name, folder / f"{name}.py")
        module = importlib.util.module_from_spec(spec)
        sys.modules[name] = module
        spec.loader.exec_module(module)
        return source_digest(module.Thing)

    plain = load("one_", 'class Thing:\n    """Doc."""\n    x = 1\n')
    assert plain == load(
        "two_", '# why\nclass Thing:\n    """Other words."""\n\n    x = 1  # one\n'
    )
    assert plain != load("three_", 'class Thing:\n    """Doc."""\n    x = 2\n')


def test_streams_differ_by_purpose_image_and_seed_and_by_nothing_else():
    seen = {stream(p, i, s) for p in ("noise", "weights") for i in "ab" for s in (0, 1)}
    assert len(seen) == 8
    assert stream("noise", "a", 0) == stream("noise", "a", 0)
