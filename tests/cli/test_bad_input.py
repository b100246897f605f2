"""Whatever a user hands over: one printable line that names it, exit status 1, nothing else.

Everything is drawn from a seed, which the message of a failing test names.
"""

import copy
import json
import math
import os
import random
import shutil
import subprocess
import sys
import tomllib

import pytest
from helpers.program import here

from n2n_ablate import cli, study
from n2n_ablate.errors import AblateError, printable
from n2n_ablate.images import collect
from n2n_ablate.images import read as read_image
from n2n_ablate.registry import Registry
from n2n_ablate.study.read import parse

# Study files: valid ones, changed in one to three places.

SAMPLER = {"name": "three-by-three", "center": 0.1}
NUMBERS = [True, 0, -1, 2**31, 2**63, 10**400, 0.0, 1e308, -1e308, math.nan, math.inf, -math.inf]
WORDS = ["", "a", "../../etc/passwd", "/etc/passwd", "a/b", "a\nb", "\x1b[31mred", "\0", "é漢字"]
WORDS += ["\u202eevil", "x" * 5000, "[bold]", "<script>alert(1)</script>", "sampler", "nan"]
TABLES = [{}, {"name": "x"}, {"name": 1}, {"a": {"b": {"c": 1}}}, SAMPLER, {"name": "schedule"}]
TABLES += [{"low": 0, "high": 1}, {"low": 1}, {"choices": []}, {"choices": [1, "a"]}]
LISTS = [[], [1], ["a"], [[]], [[1]], [{}], [SAMPLER, SAMPLER], list(range(50))]
KEYS = ["../x", "a\nb", "", "x" * 3000, "\x1b[0m", "é", "sampler.center", "noise"]


def nested(levels):
    inner = "diagonal"
    for _ in range(levels):
        inner = {"name": "schedule", "sampler": inner}
    return inner


WEIRD = [*NUMBERS, *WORDS, *TABLES, *LISTS, nested(5), nested(40)]


def toml(value):
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float):
        return repr(value) if not math.isfinite(value) or "." in repr(value) else f"{value:.1e}"
    if isinstance(value, list):
        return f"[{', '.join(map(toml, value))}]"
    if isinstance(value, dict):
        inside = (f"{toml(str(key))} = {toml(item)}" for key, item in value.items())
        return f"{{ {', '.join(inside)} }}"
    return json.dumps(value) if isinstance(value, str) else str(value)


def places(data, path=()):
    if path:
        yield path
    inside = data if isinstance(data, dict) else range(len(data)) if isinstance(data, list) else ()
    for key in inside:
        yield from places(data[key], (*path, key))


def at(data, path):
    for key in path:
        data = data[key]
    return data


def mutated(data, draw):
    """A value deleted, replaced by a strange one or by another of the file; a key misspelt."""
    data = copy.deepcopy(data)
    for _ in range(draw.choice([1, 1, 2, 3])):
        known = list(places(data))
        if not known:
            break
        *way, last = draw.choice(known)
        owner = at(data, way)
        what = draw.randrange(5)
        if what == 0:
            del owner[last]
        elif what == 1 and isinstance(owner, dict):
            owner[draw.choice([f"{last}x", str(last)[:-1], *KEYS])] = owner.pop(last)
        elif what == 2:
            owner[last] = copy.deepcopy(at(data, draw.choice(known)))
        else:
            owner[last] = copy.deepcopy(draw.choice(WEIRD))
    return data


@pytest.mark.parametrize("block", range(10))
def test_a_changed_study_file_is_planned_or_refused_in_one_line(
    block, tiny, tiny_text, tmp_path, registry
):
    texts = [tiny_text, *(path.read_text(encoding="utf-8") for path in study.shipped().values())]
    refused = 0
    for seed in range(30 * block, 30 * block + 30):
        draw = random.Random(seed)
        data = mutated(tomllib.loads(draw.choice(texts)), draw)
        text = "\n".join(f"{toml(key)} = {toml(value)}" for key, value in data.items())
        told = refusal(lambda text=text: planned(parse(text, tiny), registry))
        if told is not None:
            refused += 1
            assert told.startswith(str(tiny)), seed
            assert told.isprintable(), seed
            assert len(told) < 1700, seed
    assert refused > 15


@pytest.mark.parametrize("block", range(4))
def test_a_damaged_study_file_is_refused_in_one_line(block, tiny, tiny_text, registry):
    """Bytes that were cut, overwritten or inserted, as a disk or an editor does it."""
    refused = 0
    for seed in range(25 * block, 25 * block + 25):
        draw = random.Random(seed)
        data = bytearray(tiny_text.encode())
        place = draw.randrange(len(data))
        if seed % 3 == 0:
            del data[place : place + draw.randint(1, 200)]
        elif seed % 3 == 1:
            data[place : place + 4] = draw.randbytes(4)
        else:
            data[place:place] = draw.choice([b"\xff\xfe", b"[[", b"\0", b'"', b"= =", b"\x1b[2J"])
        tiny.write_bytes(data)
        told = refusal(lambda: planned(study.read(tiny), registry))
        if told is not None:
            refused += 1
            assert told.startswith(str(tiny)), seed
            assert told.isprintable(), seed
    assert refused > 12


def planned(asked, registry):
    for profile in asked.profiles:
        study.plan(asked, registry, profile=profile)


def refusal(action):
    """What the user is told; None if there was nothing to tell. Anything else is a bug."""
    try:
        action()
    except AblateError as error:
        return str(error)
    return None


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (f"a = {'[' * 5000}", "is not valid TOML"),
        (f"a = {'9' * 5000}", "is not valid TOML"),
        (f"a = {'{ b = ' * 30}1{' }' * 30}", "nested more than 20 levels"),
        ('name = "a\\u001b[31m"', r"'name' must be one line of printable text, got 'a\x1b[31m'"),
        ('"a\\nb" = 1', r"a key must be one line of printable text, got 'a\nb'"),
        ("question = nan", "'question' must be a number, got nan"),
        (f'question = "{"x" * 1001}"', "'question' has 1001 characters, at most 1000"),
        ("[a]\nb = [1, 99999999999999999999]", "'a.b[1]' is a number of too many digits"),
    ],
)
def test_what_no_study_file_may_hold_is_named_with_its_key(tiny, text, message):
    with pytest.raises(AblateError) as caught:
        parse(text, tiny)
    assert str(caught.value).startswith(f"{tiny}: ")
    assert message in str(caught.value)


@pytest.fixture
def no_files(tmp_path):
    """A folder of what is no file, with the reason by name."""
    os.mkfifo(tmp_path / "pipe.toml")
    (tmp_path / "folder.toml").mkdir()
    (tmp_path / "device.toml").symlink_to("/dev/null")
    (tmp_path / "circle.toml").symlink_to(tmp_path / "circle.toml")
    (tmp_path / "gone.toml").symlink_to(tmp_path / "nothing")
    return {
        tmp_path / name: why
        for name, why in {
            "pipe.toml": "is a pipe, not a file",
            "folder.toml": "is a folder, not a file",
            "device.toml": "is a device, not a file",
            "circle.toml": "cannot be read: Too many levels of symbolic links",
            "gone.toml": "does not exist",
            "nothing.toml": "does not exist",
            "x" * 5000 + ".toml": "cannot be read: File name too long",
            "\0.toml": "cannot be read: embedded null byte",
        }.items()
    }


def test_a_study_file_that_is_none_at_all(tmp_path, no_files):
    huge = tmp_path / "huge.toml"
    with huge.open("wb") as file:
        file.truncate(2_000_000)
    for path, why in no_files.items() | {(huge, "has more than 1,000,000 bytes")}:
        told = refusal(lambda path=path: study.read(study.find(str(path))))
        assert told is not None, path
        assert why in told
        assert told.isprintable()


def test_an_image_that_is_no_file_is_told_as_what_it_is(no_files):
    for path, why in no_files.items():
        if path.name.isprintable() and len(path.name) < 100:  # others are refused by name
            assert why in refusal(lambda path=path: read_image(path))
        if "folder" not in why:
            assert why in refusal(lambda path=path: collect([str(path)]))


def test_a_study_file_with_a_mark_of_its_encoding_is_read(tiny, tiny_text):
    tiny.write_text(tiny_text, encoding="utf-8-sig")
    assert study.read(tiny).text == tiny_text


def test_a_grid_that_nobody_could_run_is_refused_before_it_is_made(tiny, tiny_text, registry):
    levels = [round(0.0005 * place, 4) for place in range(1000)]
    factors = f'"sampler.{{}}" = {levels}'
    grid = tiny_text.replace('design = "search"', 'design = "grid"').replace(
        '[search]\nstrategy = { name = "tpe", startup = 2 }\n', ""
    )
    start, end = grid.index('"sampler.center" = {'), grid.index("[references]")
    three = "\n".join(factors.format(name) for name in ("center", "arm", "corner"))
    told = refusal(
        lambda: planned(parse(grid[:start] + three + "\n\n" + grid[end:], tiny), registry)
    )
    assert "more than 100,000 trials" in told


# Settings

PIECES = ["sampler", "sampler.center", "training.steps", "noise", "noise.sigma", "loss", "x", ""]
VALUES = ["0.2", "nan", "inf", "-1", "1e999", "9" * 5000, "diagonal", "[", "{", "[1, 2]", "{}", "="]
VALUES += [
    '{ name = "diagonal" }',
    '{ name = "schedule", sampler = {} }',
    "a\nb",
    "\x1b[2J",
    "None",
]
VALUES += ["{" * 2000, "../../x", "\udc80", "true", "1_0", "{ name = 1 }", "[[1]]", "漢"]


def test_a_strange_setting_is_used_or_refused_in_one_line(tiny, registry):
    asked = study.read(tiny)
    refused = 0
    for seed in range(100):
        draw = random.Random(seed)
        text = draw.choice(PIECES) + draw.choice(["=", "=", "=", ".", ""]) + draw.choice(VALUES)
        if seed % 7 == 0:
            text += f" {draw.choice(VALUES)}"
        told = refusal(lambda text=text: study.plan(asked, registry, settings=[text]))
        if told is not None:
            refused += 1
            assert "--set" in told, (seed, text)
            assert told.isprintable(), (seed, text)
    assert refused > 50


@pytest.mark.parametrize("given", [{"seeds": 10**9}, {"seeds": 0}, {"trials": 0}, {"crop": -1}])
def test_a_budget_that_makes_no_sense_is_refused_at_once(tiny, registry, given):
    told = refusal(lambda: study.plan(study.read(tiny), registry, **given))
    assert f"--{next(iter(given))} must" in told


# Plugin files

PLUGIN = '''
from dataclasses import dataclass
from typing import Annotated

from n2n_ablate import Range, hookimpl


@dataclass(frozen=True)
class Mine:
    """Even rows against odd rows."""

    share: Annotated[float, Range(0, 1)] = 0.5

    def draw(self, image, rng):
        return lambda image: (image[..., 0::2, :], image[..., 1::2, :])


@hookimpl
def register_samplers(register):
    register("mine", Mine)
'''
LINES = [
    "raise ValueError('\x1b[2J')",
    "raise ValueError('\\n\\x1b[2J')",
    "import nothing",
    "1/0",
    "def (",
    "\0",
    "\tx",
    "x = '",
]
LINES += ["import sys; sys.exit(0)", "raise SystemExit", "from n2n_ablate import nothing", "é = §"]
LINES += [
    "raise GeneratorExit",
    "class Deep(Deep): pass",
    "assert False",
    "raise BaseException('x')",
]
SWAPS = [("register(", "regster("), ('"mine"', "3"), ('"mine"', '"../x"'), ("Mine)", "None)")]
SWAPS += [(" = 0.5", ""), (" = 0.5", " = []"), ("Range(0, 1)", "Range(1, 0)"), ("samplers", "x")]


def test_a_broken_plugin_file_is_named_and_the_rest_works(folder):
    (folder / "plugins").mkdir()
    for seed in range(60):
        draw = random.Random(seed)
        text = PLUGIN
        if seed % 2:
            lines = text.splitlines()
            lines.insert(draw.randrange(len(lines)), draw.choice(LINES))
            text = "\n".join(lines)
        else:
            text = text.replace(*draw.choice(SWAPS))
        text = text.replace('"mine"', f'"mine-{seed}"')
        (folder / "plugins" / f"mine{seed}.py").write_text(text, encoding="utf-8")
    registry = Registry()
    assert registry.get("sampler", "diagonal")
    assert len(registry.broken) > 40
    for item in registry.broken:
        assert f"plugin '{item.origin.plugin}' (" in str(item)
        assert f"{item.origin.plugin}.py" in item.where
        assert str(item).isprintable()


@pytest.mark.parametrize("text", [b"\xff\xfe\0", b"", b"\0" * 100, b"\x80abc", b"(" * 100_000])
def test_a_plugin_file_that_is_no_python_is_named(folder, text):
    (folder / "plugins").mkdir()
    (folder / "plugins" / "mine.py").write_bytes(text)
    (item,) = Registry().broken
    assert "mine.py" in str(item)
    assert str(item).isprintable()


# The command line

WRONG = [
    ["study", "nothing"],
    ["study", "\x1b[31mred"],
    ["study", "x" * 5000],
    ["study", "/" + "x" * 5000],
    ["study", "TINY", "--profile", "a\nb"],
    ["study", "TINY", "--set", "sampler=\x1b[2J"],
    ["study", "TINY", "--images", "x" * 5000],
    ["study", "TINY", "--images", "broken.png"],
    ["study", "TINY", "--images", "dot.png"],
    ["study", "TINY", "--crop", "1"],
    ["study", "TINY", "--seeds", "1000000000"],
    ["study", "TINY", "--device", "toaster"],
    ["study", "TINY", "--device", "cuda:99"],
    ["study", "TINY", "--precision", "fp3"],
    ["study", "TINY", "--output", "broken.png"],
    ["study", "TINY", "--output", "broken.png/x"],
    ["study", "TINY", "--output", "x" * 5000],
    ["study", "TINY", "--plugins-dir", "x" * 5000],
    ["study", "TINY", "--tracking", "x"],
    ["study", "TINY", "--tracking", "none", "--storage", "nonsense"],
    ["study", "TINY", "--tracking", "none", "--storage", "nonsense://x"],
    ["study", "TINY", "--tracking", "none", "--storage", "sqlite:////proc/none/x.db"],
    ["plan", "TINY", "--images", "."],
    ["plan", "TINY", "--set", "{"],
    ["diagnose", "nothing"],
    ["diagnose", "diagonal", "--images", "broken.png"],
    ["diagnose", "diagonal(x=1"],
    ["denoise", "broken.png", "-o", "a.png"],
    ["denoise", "whole.png", "-o", "a.xyz"],
    ["denoise", "whole.png", "-o", "x" * 5000 + ".png"],
    ["denoise", "whole.png", "-o", "a.png", "--from-study", "../../etc"],
    ["denoise", "whole.png", "-o", "a.png", "--set", "training.steps=-1"],
    ["plugins", "--kind", "smapler"],
    ["sync", "nothing"],
    ["sync", "--output", "nowhere"],
    ["ui", "--output", "nowhere"],
]


@pytest.mark.parametrize("words", WRONG, ids=lambda words: printable(" ".join(words))[:60])
def test_the_command_line_says_it_in_one_line(words, tiny, folder, photo, monkeypatch, capsys):
    (folder / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n nothing")
    photo(folder / "whole.png")
    photo(folder / "dot.png", size=1)
    given = [str(tiny) if word == "TINY" else word for word in words]
    monkeypatch.setattr(sys, "argv", ["n2n-ablate", *given])
    with pytest.raises(SystemExit) as end:
        cli.main()
    told = capsys.readouterr().err
    assert end.value.code == 1, told
    assert told.startswith("error: "), told
    assert told.count("\n") == 1, told
    assert told.rstrip("\n").isprintable(), told


def test_bytes_that_are_no_text_do_not_break_the_message(folder):
    """Only the real program gets arguments that are not valid UTF-8."""
    done = subprocess.run(
        [sys.executable, "-m", "n2n_ablate", "plugins", "--kind", b"\xff\xfe\x1b[2J"],
        capture_output=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 1
    (line,) = done.stderr.decode().splitlines()
    assert line.startswith("error: no kind is called '")
    assert line.isprintable()


# What is stored

TRAINED = {
    "raises": "image.requires_grad and 1 / 0",
    "exits": "image.requires_grad and sys.exit('gone')",
    "exits-at-once": "sys.exit('gone')",
    "nan": "image.mul_(math.nan) if image.requires_grad else None",
    "infinite": "setattr(image, 'data', image.data * 1e30)",
    "shrinks": "setattr(image, 'data', image.data[..., :4]) if image.requires_grad else None",
    "rewires": "torch.set_grad_enabled(False)",
    "numbers": "torch.manual_seed(0), random.seed(0), numpy.random.seed(0)",
}
"""What a sampler does when its split is applied in training, by what it is called."""
MISCHIEF = "import math, random, sys\n\nimport numpy\nimport torch\n" + PLUGIN.replace(
    "lambda image: (", "lambda image: (self.spoil(image), ("
).replace("1::2, :])", "1::2, :]))[1]").replace(
    "    def draw", "    def spoil(self, image):\n        SPOIL\n\n    def draw"
)


@pytest.fixture(scope="module")
def stocked(tmp_path_factory, tiny_text):
    """A folder in which a study was run, and what it left: its table, fits and journal."""
    folder = tmp_path_factory.mktemp("stocked")
    (folder / "tiny.toml").write_text(tiny_text)
    words = ["study", "tiny.toml", "--tracking", "none", "--trials", "3", "--json"]
    done = here(*words, "--set", "training.steps=3", folder=folder)
    assert done.returncode == 0, done.stderr
    kept = ("fits", "studies")
    files = [path for name in kept for path in (folder / "mlruns" / name).rglob("*.*")]
    assert len(files) == 7
    return folder, json.loads(done.stdout), {path: path.read_bytes() for path in files}


@pytest.fixture
def nothing_is_lost(stocked):
    """Check after a test that the study has every fit and every line, and finds the same again."""
    folder, table, before = stocked
    yield folder
    for path, content in before.items():
        now = path.read_bytes()
        assert now == content if path.suffix == ".safetensors" else now.startswith(content), path
    assert not list((folder / "mlruns" / "fits").rglob("*.damaged"))
    shutil.rmtree(folder / "plugins", ignore_errors=True)
    words = ["study", "tiny.toml", "--tracking", "none", "--trials", "3", "--json"]
    again = json.loads(here(*words, "--set", "training.steps=3", folder=folder).stdout)
    assert again["fits"]["cached"] == again["fits"]["total"] == 6
    assert again["conditions"] == table["conditions"]


def test_wrong_commands_cost_nothing_that_is_stored(nothing_is_lost, photo):
    folder = nothing_is_lost
    (folder / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n nothing")
    photo(folder / "whole.png")
    photo(folder / "dot.png", size=1)
    for words in WRONG:
        given = ["tiny.toml" if word == "TINY" else word for word in words]
        assert here(*given, folder=folder).returncode == 1, given


def test_wrong_studies_cost_nothing_that_is_stored(nothing_is_lost, tiny_text, registry):
    folder = nothing_is_lost
    path = folder / "wrong.toml"  # it may well have the name of the study that was run
    refused = 0
    for seed in range(30):
        data = mutated(tomllib.loads(tiny_text), random.Random(seed))
        path.write_text("\n".join(f"{toml(key)} = {toml(value)}" for key, value in data.items()))
        if refusal(lambda: planned(study.read(path), registry)) is not None:
            done = here("study", path, "--tracking", "none", folder=folder)
            refused += done.returncode == 1
    assert refused > 10


@pytest.mark.parametrize("what", TRAINED)
def test_a_plugin_that_does_harm_in_training_costs_its_own_fits_alone(
    nothing_is_lost, tiny_text, what
):
    folder = nothing_is_lost
    (folder / "plugins").mkdir()
    (folder / "plugins" / "mine.py").write_text(MISCHIEF.replace("SPOIL", TRAINED[what]))
    (folder / "harm.toml").write_text(tiny_text.replace('name = "diagonal"', 'name = "mine"'))
    words = ["study", "harm.toml", "--tracking", "none", "--trials", "3", "--json"]
    done = here(*words, "--set", "training.steps=3", folder=folder)
    assert "Traceback" not in done.stderr
    assert done.returncode in (0, 1, 3), done.stderr
    if done.returncode == 1:
        assert "mine" in done.stderr
        return
    told = json.loads(done.stdout)
    assert told["fits"]["cached"] >= 4
    names = {row["name"]: row for row in told["conditions"][0]["trials"]}
    assert names["baseline"]["n_failed"] == names["sampler.center=0.2"]["n_failed"] == 0
