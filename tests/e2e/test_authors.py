"""What an author of components does with a file: new, edit, check, study."""

import json

import pytest
import torch
from helpers.program import here

QUICK = ("--crop", "32", "--set", "training.steps=5", "--tracking", "none")
FEW = ("--images", "builtin:astronaut", "--images", "builtin:coffee")
HANGS = '''
from n2n_ablate import hookimpl


class Hangs:
    """Never comes to an end."""

    def draw(self, image, rng):
        while True:
            pass


@hookimpl
def register_samplers(register):
    register("hangs", Hangs)
'''


def test_from_an_empty_folder_to_a_row_in_the_table(folder):
    made = here("new", "sampler", "my-pair", folder=folder)
    assert made.returncode == 0
    file = folder / made.stdout.strip()
    assert "n2n-ablate check my-pair" in made.stderr
    text = file.read_text()
    for mark, line in {
        "1:": '    """Left column against right column of every two."""',
        "2:": "            first = image[..., 0:-1:2]",
        "3:": "            second = image[..., 1::2]",
    }.items():
        (old,) = [own for own in text.splitlines() if f"# {mark}" in own]
        text = text.replace(old, line)
    file.write_text(text)
    done = here("check", "my-pair", folder=folder)
    assert done.returncode == 0, done.stdout
    assert "sampler my-pair (plugins/my_pair.py)" in done.stdout
    assert "25 of 25 checks passed." in done.stdout
    told = here("study", "samplers", "--set", "sampler=my-pair", *QUICK, *FEW, folder=folder)
    assert told.returncode == 0, told.stderr
    (row,) = [line for line in told.stdout.splitlines() if line.split()[1:2] == ["my-pair"]]
    assert any(word in row for word in ("better", "worse", "equivalent", "inconclusive"))


@pytest.mark.slow  # it waits for the limit
def test_what_hangs_is_stopped_and_what_is_broken_is_a_cross_with_file_and_line(folder):
    here("new", "sampler", "zz-bright", folder=folder)
    file = folder / "plugins" / "zz_bright.py"
    bright = file.read_text().replace("return first, second", "return first, 1.1 * second")
    # One file with both: after the one that hangs, the other still gets its turn.
    hangs, _, hook = HANGS.partition("@hookimpl")
    register = f"@hookimpl{hook}" + '    register("zz-bright", ZzBright)\n'
    file.write_text(bright.partition("@hookimpl")[0] + hangs + register)
    done = here("check", "plugins/zz_bright.py", "--limit", "12", folder=folder)
    assert done.returncode == 1
    shown = done.stdout
    assert "sampler hangs (plugins/zz_bright.py)" in shown
    assert "it did not come to an end within 12 s (plugins/zz_bright.py:" in shown
    assert "1 of 25 checks failed, 23 not run here." in shown
    assert "\u2717 A flat image has flat views of the same gray" in shown
    assert "a flat image of 0.3333 gives a view with values from 0.3667 to 0.3667" in shown
    assert "(plugins/zz_bright.py:9)" in shown
    assert "1 of 25 checks failed.\n" in shown


@pytest.mark.skipif(torch.cuda.is_available(), reason="with a GPU everything can be tried")
def test_what_this_machine_cannot_try_is_no_tick_and_no_cross(folder):
    here("new", "metric", "my-worst", folder=folder)
    file = folder / "plugins" / "my_worst.py"
    value = "255 * (denoised - clean).abs().amax(dim=(1, 2, 3))"
    file.write_text(file.read_text().replace(value, f"{value} + 0 * float(clean.max())"))
    done = here("check", "my-worst", folder=folder)
    assert done.returncode == 0
    assert "\u2013 Images on a GPU are measured there." in done.stdout
    assert "not run here: there is no GPU" in done.stdout
    assert "8 of 9 checks passed, 1 not run here." in done.stdout
    told = json.loads(here("check", "my-worst", "--json", folder=folder).stdout)
    (metric,) = told["components"]
    assert told["kept"]
    (left,) = [item for item in metric["promises"] if item["kept"] is None]
    assert left["untried"].startswith("there is no GPU")
