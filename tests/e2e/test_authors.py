"""What an author of components does: new, edit, check, study; and a package, from wheel to removal."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from program import here, run

ROOT = Path(__file__).resolve().parents[2]
HEXAGON = ROOT / "examples" / "n2n-ablate-hexagon"
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
    assert "All 23 promises are kept." in done.stdout
    told = here("study", "samplers", "--set", "sampler=my-pair", *QUICK, *FEW, folder=folder)
    assert told.returncode == 0, told.stderr
    (row,) = [line for line in told.stdout.splitlines() if " my-pair " in line and "\u00b1" in line]
    assert any(word in row for word in ("better", "worse", "equivalent", "unclear"))


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
    assert "1 of 23 promises broken, 21 not tried." in shown
    assert "\u2717 A flat image has flat views of the same gray" in shown
    assert "a flat image of 0.3333 gives a view with values from 0.3667 to 0.3667" in shown
    assert "(plugins/zz_bright.py:9)" in shown
    assert "1 of 23 promises broken.\n" in shown


@pytest.mark.skipif(torch.cuda.is_available(), reason="with a GPU everything can be tried")
def test_what_this_machine_cannot_try_is_no_tick_and_no_cross(folder):
    here("new", "metric", "my-worst", folder=folder)
    file = folder / "plugins" / "my_worst.py"
    value = "255 * (denoised - clean).abs().amax(dim=(1, 2, 3))"
    file.write_text(file.read_text().replace(value, f"{value} + 0 * float(clean.max())"))
    done = here("check", "my-worst", folder=folder)
    assert done.returncode == 0
    assert "\u2013 Images on a GPU are measured there." in done.stdout
    assert "not tried here: there is no GPU" in done.stdout
    assert "8 promises are kept, 1 not tried here." in done.stdout
    told = json.loads(here("check", "my-worst", "--json", folder=folder).stdout)
    (metric,) = told["components"]
    assert told["kept"]
    (left,) = [item for item in metric["promises"] if item["kept"] is None]
    assert left["untried"].startswith("there is no GPU")


@pytest.fixture(scope="module")
def clean(tmp_path_factory):
    """Return a fresh environment, in which only what the tests run with can be imported."""
    base = tmp_path_factory.mktemp("clean")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", base / "venv"], check=True)
    python = base / "venv" / "bin" / "python"
    own = subprocess.run(
        [python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout.strip()
    hosts = [path for path in sys.path if path.endswith(("site-packages", "dist-packages"))]
    lines = [f"import site; site.addsitedir({path!r})" for path in hosts]
    (Path(own) / "host.pth").write_text("\n".join(lines))
    return python


@pytest.mark.slow
def test_a_package_is_built_installed_checked_studied_and_removed(clean, tmp_path):
    source = shutil.copytree(HEXAGON, tmp_path / "source")
    work = tmp_path / "work"
    work.mkdir()

    def shell(*words):
        done = subprocess.run(
            [str(word) for word in words], cwd=work, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr

    def program(*words):
        return run(*words, folder=work, start=lambda *own: [clean, "-m", "n2n_ablate", *own])

    shell(sys.executable, "-m", "build", "--wheel", "--no-isolation", "-o", tmp_path, source)
    (wheel,) = tmp_path.glob("*.whl")
    pip = (sys.executable, "-m", "pip", "--python", clean, "-q", "--disable-pip-version-check")
    shell(*pip, "install", "--no-deps", "--no-index", wheel)
    told = json.loads(program("plugins", "hexagon", "--json").stdout)
    (hexagon,) = told["components"]
    assert (hexagon["package"], hexagon["version"]) == ("n2n-ablate-hexagon", "1.2.0")
    assert hexagon["file"].startswith(str(clean.parents[1]))
    checked = program("check", "n2n-ablate-hexagon")
    assert checked.returncode == 0, checked.stdout
    assert "sampler hexagon (hexagon 1.2.0) at defaults, pairs_of_views=ring" in checked.stdout
    studied = program("study", "samplers", "--set", "sampler=hexagon", *QUICK, *FEW, "--quiet")
    assert studied.returncode == 0, studied.stderr
    assert " hexagon " in studied.stdout
    shell(*pip, "uninstall", "-y", "n2n-ablate-hexagon")
    gone = program("plugins", "hexagon")
    assert gone.returncode == 1
    assert "no component is called 'hexagon'" in gone.stderr
