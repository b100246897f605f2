"""One component in full: everything that is known, in the terminal and as JSON."""

import io
import json
import re

import pytest
from helpers.program import here

from n2n_ablate.cli import component_page
from n2n_ablate.components import KINDS
from n2n_ablate.registry import Entry
from n2n_ablate.registry.discovery import Origin

UNUSABLE = '''\
from typing import Annotated

from n2n_ablate import Component, hookimpl


class Nobody:
    def draw(self, image, rng):
        return lambda image: (image[..., 0:-1:2, :], image[..., 1::2, :])


class Inside(Nobody):
    """A test (this project)."""

    def __init__(self, inner: Annotated[object, Component("sampler")] = Nobody()):
        self.inner = inner


class Unread(Nobody):
    """A test (this project)."""

    @property
    def fixed(self):
        return self.nothing


@hookimpl
def register_samplers(register):
    register("inside", Inside)
    register("unread", Unread)
'''


def test_json_has_every_component_in_full(registry):
    for entry in registry:
        told = component_page.to_json(entry, registry)
        json.dumps(told)
        assert told["kind"] in KINDS
        assert told["summary"]
        assert told["description"].startswith(told["summary"])
        assert told["package"] == "n2n-ablate"
        assert told["version"]
        assert told["source"].rpartition(":")[2].isdigit()
        assert set(told["declares"]) == set(component_page.ASSUMED[entry.kind])
        for parameter in told["parameters"]:
            assert parameter["meaning"], f"{entry.kind} {entry.name}: {parameter['name']}"


@pytest.mark.parametrize(
    ("kind", "name", "cited"),
    [
        ("sampler", "diagonal", ["Mansour and Heckel, 2023"]),
        ("sampler", "random-neighbor", ["Huang et al., 2021"]),
        ("sampler", "stripe", ["N2N reproduction note"]),
        ("sampler", "recorruption", ["Pang et al., 2021", "Monroy et al., 2025"]),
        ("metric", "psnr", ["Mansour and Heckel, 2023"]),
        ("loss", "huber", ["Huber, 1964", "Mansour and Heckel, 2023", "this project"]),
        ("estimator", "windowed-variance", ["Wang et al., 2023"]),
        ("sampler", "cross-x", ["github.com/kshahmir49/ZS-ACL"]),
        ("noise", "stripes", ["this project"]),
        (
            "sampler",
            "pixel-shuffle",
            ["Zhou et al., 2020", "Lee et al., 2022", "github.com/zhanzhanblue/R-ZS-N2N"],
        ),
        (
            "sampler",
            "avg-stochastic-pool",
            ["N2N reproduction note", "Zeiler and Fergus, 2013", "Zhai et al., 2017"],
        ),
    ],
)
def test_the_sources_of_a_docstring_are_found(kind, name, cited, registry):
    assert component_page.references(registry.get(kind, name)) == cited


@pytest.mark.parametrize(
    ("text", "cited"),
    [
        ("A loss (Rudin, Osher and\n    Fatemi, 1992).", ["Rudin, Osher and Fatemi, 1992"]),
        ("After van der Maaten (2008) and Åström et al. (2011).",
         ["van der Maaten, 2008", "Åström et al., 2011"]),
        ("See github.com/some-one/a_b.c.", ["github.com/some-one/a_b.c"]),
        ("Trained for 2023 steps, then 1999 more.", []),
    ],
)  # fmt: skip
def test_sources_are_found_however_they_are_written(text, cited):
    def factory():
        pass

    factory.__doc__ = text
    assert (
        component_page.references(Entry("loss", "mine", factory, Origin("mine", "file"))) == cited
    )


def test_every_component_says_where_it_comes_from(registry):
    for entry in registry:
        cited = component_page.references(entry)
        assert cited, f"{entry.kind} {entry.name} has no source"
        text = " ".join(entry.factory.__doc__.split())
        years = re.findall(r"\b(?:19|20)\d\d\b", text)
        assert {item[-4:] for item in cited if item[-4:].isdigit()} == set(years), entry.name
        for item in cited:
            # Nobody is cut off in front: `Heckel, 2023` of `Mansour and Heckel, 2023`.
            before = text[: text.index(item.rpartition(", ")[0] or item)].split()
            assert not before or before[-1] not in ("and", "et", "al."), (entry.name, item)


def test_a_sampler_is_drawn_with_its_weights(folder):
    shown = here("plugins", "diagonal", folder=folder).stdout
    assert "2 1 2 1 2 1 2 1 2 1 2 1" in shown
    assert "1 2 1 2 1 2 1 2 1 2 1 2" in shown
    assert "1: feeds view 1 (6x6). 2: feeds view 2 (6x6)." in shown
    assert "0.5    ." in shown
    assert "fixed = true, leaks = false" in shown
    assert "Mansour and Heckel, 2023" in shown


def test_a_pixel_of_both_views_is_marked(folder):
    shown = here("plugins", "three-by-three", folder=folder).stdout
    assert "1 121 1 121" in shown
    assert "12: feeds both, 16 of 144 pixels." in shown
    assert "0 to 0.5" in shown
    assert "Weight of the centre pixel" in shown


def test_a_schedule_is_drawn_at_step_0_and_says_so(folder):
    shown = here("plugins", "schedule", folder=folder).stdout
    assert "At step 0: it changes over the training." in shown


def test_one_draw_of_many_is_said_of_draws_that_differ(folder):
    here("new", "sampler", "my-pair", folder=folder)
    alike = " ".join(here("plugins", "my-pair", folder=folder).stdout.split())
    assert "Two draws were alike: if all are, `fixed = True` says so, and trains faster." in alike
    file = folder / "plugins" / "my_pair.py"
    file.write_text(file.read_text().replace("    def draw", "    fixed = True\n\n    def draw"))
    assert "Two draws" not in here("plugins", "my-pair", folder=folder).stdout
    assert "One draw of many." in here("plugins", "random-neighbor", folder=folder).stdout
    assert (
        "One draw of many." in here("plugins", "recorruption", folder=folder, COLUMNS="160").stdout
    )
    assert "draw" not in here("plugins", "diagonal", folder=folder).stdout.partition("feeds")[2]


def test_the_list_breaks_no_name(folder, registry):
    here("new", "sampler", "my-pair", folder=folder)
    narrow = here("plugins", folder=folder, COLUMNS="80")
    lines = narrow.stdout.splitlines()
    assert len(lines) < 3 * len(list(registry))
    assert all(len(line) <= 80 for line in lines)
    assert all(any(line.startswith(f"  {own.name} ") for line in lines) for own in registry)
    assert "[plugins/my_pair.py]" in narrow.stdout
    assert "For parameters: n2n-ablate plugins NAME" in narrow.stderr
    page = here("plugins", "three-by-three", folder=folder, COLUMNS="80").stdout
    assert "0 to 0.5" in page


def test_one_that_cannot_be_used_is_shown_with_its_place_beside_the_others(folder):
    (folder / "plugins").mkdir(exist_ok=True)
    (folder / "plugins" / "mine.py").write_text(UNUSABLE)
    told = json.loads(here("plugins", "--json", folder=folder).stdout)
    broken = {
        item["name"]: item["declares"]["error"]
        for item in told["components"]
        if "error" in item["declares"]
    }
    assert set(broken) == {"inside", "unread"}
    assert "has the parameter 'inner', and" in broken["inside"]
    assert broken["inside"].endswith(
        "no plugin registers its class as a sampler (plugins/mine.py:11)"
    )
    assert broken["unread"].endswith("(plugins/mine.py:23)")
    shown = here("plugins", "inside", folder=folder)
    assert "cannot be used" in shown.stdout
    assert shown.returncode == 0


def test_every_sampler_can_be_shown(registry):
    from rich.console import Console

    for entry in registry:
        if entry.kind == "sampler":
            console = Console(width=80, record=True, file=io.StringIO())
            console.print(component_page.page(entry, registry))
            assert "cannot be" not in console.export_text(), entry.name


def test_a_name_of_several_kinds_shows_all_and_an_unknown_one_the_nearest(folder):
    told = json.loads(here("plugins", "zs-acl", "--json", folder=folder).stdout)
    assert {item["kind"] for item in told["components"]} == {"backbone"}
    (folder / "plugins").mkdir()
    (folder / "plugins" / "one.py").write_text(
        "from n2n_ablate import hookimpl\n\n\nclass Zs:\n    '''A loss.'''\n\n"
        "    def __call__(self, context):\n        return context.noisy.mean(dim=(1, 2, 3))\n\n\n"
        "@hookimpl\ndef register_losses(register):\n    register('zs-acl', Zs)\n"
    )
    told = json.loads(here("plugins", "zs-acl", "--json", folder=folder).stdout)
    assert {item["kind"] for item in told["components"]} == {"backbone", "loss"}
    unknown = here("plugins", "diagonl", folder=folder)
    assert unknown.returncode == 1
    assert "no component is called 'diagonl'. Did you mean 'diagonal'?" in unknown.stderr
