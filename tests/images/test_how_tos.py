"""The commands of three how-tos, run as written on tiny data."""

import shlex
from pathlib import Path

import numpy as np
import pytest
import tifffile
from helpers.measured_pairs import pairs, save, scene
from typer.testing import CliRunner

from n2n_ablate.cli import app

PAGES = Path(__file__).parents[2] / "docs" / "how-to"


def commands(page):
    """Return the commands of the first block of shell, without comments."""
    block = (PAGES / page).read_text(encoding="utf-8").split("```sh\n")[1].split("```")[0]
    return [line.split("#")[0].strip() for line in block.splitlines()]


def run(line, *more):
    words = shlex.split(line)
    assert words[0] == "n2n-ablate"
    short = ("--set", "training.steps=2") if words[1] in ("study", "denoise") else ()
    quiet = ("--tracking", "none", "--crop", "24") if words[1] == "study" else ()
    found = CliRunner().invoke(app, [*words[1:], *short, *quiet, *more])
    assert found.exit_code == 0, (line, found.output, found.exception)
    return found.output


def test_measured_pairs(folder):
    for name in ("shots", "canon", "nikon"):
        pairs(folder / name, scenes=(1, 2))
    lines = commands("measured-pairs.md")
    assert len(lines) == 3
    assert "measured noise, 2 scenes, 2 shots" in run(lines[0], "--crop", "0")
    for line in lines[1:]:
        run(line)


def test_microscopy_stacks(folder):
    stack = np.stack([scene(n) * 16 for n in range(3)]).astype(np.uint16)
    tifffile.imwrite(folder / "cells.tif", stack, imagej=True, metadata={"axes": "ZYX"})
    tifffile.imwrite(folder / "cells.ome.tif", stack, ome=True, metadata={"axes": "CYX"})
    pairs(folder / "microscope", scenes=(1, 2))
    lines = commands("microscopy-stacks.md")
    assert len(lines) == 4
    for line in lines:
        run(line)
    assert tifffile.imread(folder / "denoised.tif").shape == stack.shape
    assert tifffile.imread(folder / "dapi.tif").shape == stack.shape[1:]


def test_named_sets(folder, monkeypatch):
    """Files put by hand into the folder of sets are all that is needed; nothing is fetched."""
    monkeypatch.setenv("N2N_ABLATE_DATA", str(folder / "data"))
    (folder / "image-sets.toml").write_text(
        '[kodak24]\nkind = "clean"\ntitle = "tiny"\ncount = 2\nlayout = "kodim09.png"\n'
        '[cc]\nkind = "measured"\ntitle = "tiny"\ncount = 2\nlayout = "NAME_mean.png"\n'
    )
    save(folder / "data" / "kodak24" / "kodim09.png", scene(8))
    save(folder / "data" / "kodak24" / "kodim10.png", scene(9))
    pairs(folder / "data" / "cc", scenes=(1, 2))
    lines = commands("named-sets.md")
    assert len(lines) == 5
    for line in lines:
        if "fetch" not in line:  # against a server on loopback: test_named_sets
            run(line)


@pytest.mark.parametrize("page", ["measured-pairs.md", "microscopy-stacks.md", "named-sets.md"])
def test_pages_begin_with_commands(page):
    assert all(line.startswith("n2n-ablate ") for line in commands(page))
