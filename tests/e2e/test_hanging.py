"""A sampler whose draw hangs: every command that draws names it with file and line, and ends."""

import sys

import pytest
from helpers.program import run
from helpers.thinning import thinned

HANGS = '''\
from n2n_ablate import hookimpl


class Hangs:
    """Never comes to an end."""

    def draw(self, image, rng):
        while True:
            image.sum()


@hookimpl
def register_samplers(register):
    register("hangs", Hangs)
'''
LINES = (8, 9)  # of the loop
QUICK = "from n2n_ablate import cli; from n2n_ablate.components import watchdog; watchdog.LIMIT = 8.0; cli.main()"
COMMANDS = {
    "study": ("study", "samplers", "--set", "sampler=hangs", "--tracking", "none"),
    "diagnose": ("diagnose", "hangs"),
    "denoise": ("denoise", "image.png", "--out", "out.png", "--set", "sampler=hangs"),
    "plugins": ("plugins", "hangs"),
}


@pytest.mark.parametrize("command", thinned("study", rare=COMMANDS))
def test_a_draw_that_hangs_is_named_with_file_and_line(command, folder, photo):
    (folder / "plugins").mkdir()
    (folder / "plugins" / "hangs.py").write_text(HANGS)
    photo(folder / "image.png", size=40)
    done = run(
        *COMMANDS[command],
        folder=folder,
        start=lambda *words: [sys.executable, "-c", QUICK, *words],
    )
    said = done.stdout + done.stderr
    assert "did not come to an end within 8 s" in said
    assert any(f"(plugins/hangs.py:{line})" in said for line in LINES), said
    if command == "plugins":  # its page has everything else
        assert done.returncode == 0
        assert "Never comes to an end." in done.stdout
    else:
        assert done.returncode == 1
        assert "sampler 'hangs' " in done.stderr


@pytest.mark.slow  # it waits for the limit
def test_asked_for_all_samplers_the_others_are_measured(folder):
    (folder / "plugins").mkdir()
    (folder / "plugins" / "hangs.py").write_text(HANGS)
    done = run(
        *("diagnose", "--images", "builtin:coffee", "--crop", "16"),
        folder=folder,
        start=lambda *words: [sys.executable, "-c", QUICK, *words],
    )
    assert done.returncode == 0, done.stderr
    assert "left out: sampler 'hangs' did not come" in done.stderr
    assert "diagonal" in done.stdout
