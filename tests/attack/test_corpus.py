"""A thousand generated attacks: one line or a right answer, never a traceback, a hang, a silent loss.

Every case is drawn from a seed, which the message of a failing test names. `pytest -m slow` tries
more seeds of each kind.
"""

import copy
import io
import json
import random
import shutil
import struct
import tomllib
import zlib
from pathlib import Path
from urllib.parse import quote

import numpy as np
import pytest
import tifffile
import torch
import typer
from helpers.program import here
from PIL import Image as Pillow

from n2n_ablate import redaction, study
from n2n_ablate.cli import app
from n2n_ablate.databases import sqlite_file, sqlite_url
from n2n_ablate.errors import AblateError, printable
from n2n_ablate.images import collect
from n2n_ablate.registry import Registry
from n2n_ablate.storage import journal, reopen
from n2n_ablate.storage.cached_fits import cached_fits
from n2n_ablate.storage.output import Output
from n2n_ablate.study.json_schema import json_schema
from n2n_ablate.study.read import parse

pytestmark = pytest.mark.filterwarnings("ignore")  # damaged files make libraries warn
SEEDS = [0, *(pytest.param(seed, marks=pytest.mark.slow) for seed in range(1, 5))]
ODD = [
    "", " ", "\x1b[2J", "nan", "-1", "1e999", "9" * 400, "None", "../nowhere", "a/b", "\u202eevil", "é☃",
    "{", "=", "-", "%s%n", "x" * 3000, "\udc80", "a=b=c", "[1, 2", ":memory:", "sqlite://", "a\nb", "'\"",
    "sampler.center=", "(((", "$(id)", "builtin:", "~", ".", "..", "/dev/null", "0", "0x10", "1_0", "٣",
]  # fmt: skip
WRONG = [
    None,
    True,
    -1,
    0,
    2**63,
    1e308,
    "",
    "x",
    "\x1b[2J",
    [],
    {},
    [[]],
    {"a": {"b": []}},
    "x" * 4000,
]


@pytest.fixture(autouse=True)
def forgetful(monkeypatch):
    monkeypatch.setattr(redaction, "_remembered", set())


def one_line(action):
    """Return what is told, one printable line; None if there is nothing to tell. Anything else is a bug."""
    told = None
    try:
        action()
    except AblateError as error:
        told = str(error)
    assert told is None or (told.isprintable() and len(told) < 1700), told
    return told


# Study files: a value of a wrong type or size at every place that the schema knows


def toml(value):
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, dict):
        return f"{{ {', '.join(f'{json.dumps(k)} = {toml(v)}' for k, v in value.items())} }}"
    if isinstance(value, list):
        return f"[{', '.join(map(toml, value))}]"
    return json.dumps(value) if isinstance(value, str) else str(value)


def keys_of(schema, definitions, path=(), depth=4):
    """Yield the path of every key that a study file may have."""
    for part in [schema, *schema.get("anyOf", []), *schema.get("allOf", [])]:
        if "$ref" in part:
            yield from keys_of(
                definitions[part["$ref"].rpartition("/")[2]], definitions, path, depth
            )
        for key, inner in part.get("properties", {}).items() if depth else ():
            yield (*path, key)
            yield from keys_of(inner, definitions, (*path, key), depth - 1)
        for key, inner in (("additionalProperties", "quick"), ("items", 0)):
            if isinstance(part.get(key), dict) and depth:
                yield from keys_of(part[key], definitions, (*path, inner), depth - 1)


@pytest.mark.parametrize("seed", SEEDS)
def test_a_wrong_value_at_any_key_of_a_study_file(seed, tiny, tiny_text, registry):
    schema = json_schema(registry)
    paths = sorted(set(keys_of(schema, schema.get("$defs", {}))), key=str)
    assert len(paths) > 50
    refused = tried = 0
    for place, path in enumerate(paths):
        draw = random.Random(f"{seed} {place}")
        data = copy.deepcopy(tomllib.loads(tiny_text))
        *way, last = path
        inside = data
        for key in way:
            if isinstance(inside, dict):
                inside.setdefault(key, {})
            known = isinstance(inside, dict) or (isinstance(inside, list) and key == 0 and inside)
            inside = inside[key] if known else {}
        if not isinstance(inside, dict):  # a component by its name alone
            continue
        for _ in range(2):
            tried += 1
            inside[last] = draw.choice(WRONG[1:])
            text = "\n".join(f"{json.dumps(key)} = {toml(value)}" for key, value in data.items())
            told = one_line(lambda text=text: study.plan(parse(text, tiny), registry))
            refused += told is not None
            assert told is None or told.startswith(str(tiny)), (seed, path)
    assert tried > 500
    assert refused > tried / 2


# The command line: an odd value for every option of every command

BASE = {
    "study": "study tiny.toml --tracking none --trials 1 --crop 16 --set training.steps=2 -q",
    "plan": "plan tiny.toml --trials 1 --crop 16",
    "diagnose": "diagnose diagonal --crop 16 --images builtin:coffee",
    "report": "report tiny -f md --no-diagnostics",
    "compare": "compare tiny baseline sampler.center=0.2",
    "best": "best tiny",
    "denoise": "denoise whole.png -o out.png --set training.steps=1 --device cpu",
    "check": "check nothing",
    "new": "new sampler mine",
    **{name: name for name in ("studies", "sync", "cache", "images", "plugins", "doctor")},
}  # `ui` would start servers
OPTIONS = [
    (name, option.opts[-1])
    for name, command in typer.main.get_command(app).commands.items()
    for option in command.params
    if name in BASE and option.param_type_name == "option" and not option.is_flag
]
FREE = {"--output", "--out-dir", "-o", "--figures"}  # whatever a folder or a file may be called
UNUSED = {"--storage", "--tracking-uri", "--plugins-dir"}  # by this base, or it is there
HARMLESS = {"", "0", ".", "..", "~", "-", "1_0", "٣", "builtin:"}
LONG = {"check", "sync", "report", "study"}  # `plan` reads most of what `study` does


@pytest.fixture(scope="module")
def stocked(tmp_path_factory, tiny_text):
    """A folder in which a study was run."""
    folder = tmp_path_factory.mktemp("stocked")
    (folder / "tiny.toml").write_text(tiny_text)
    pixels = np.random.default_rng(0).integers(0, 256, (24, 24, 3), dtype=np.uint8)
    Pillow.fromarray(pixels).save(folder / "whole.png")
    words = BASE["study"].replace("--trials 1", "--trials 2").split()
    assert here(*words, folder=folder).returncode == 0
    return folder


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize(
    "command", [pytest.param(name, marks=[pytest.mark.slow] * (name in LONG)) for name in BASE]
)
def test_an_odd_value_for_any_option(command, seed, stocked, tmp_path):
    home = tmp_path / "home"
    shutil.copytree(stocked, home)
    before = {path: path.read_bytes() for path in home.rglob("*.safetensors")}
    for option in (option for name, option in OPTIONS if name == command):
        draw = random.Random(f"{seed} {command} {option}")
        for value in draw.sample(ODD, 2):
            done = here(*BASE[command].split(), option, value, folder=home)
            case = seed, command, option, value
            assert done.returncode in (0, 1, 2), case
            assert "Traceback" not in done.stderr, (case, done.stderr)
            if done.returncode == 1 and command not in ("doctor", "check"):
                last = done.stderr.splitlines()[-1]
                assert last.startswith("error: "), (case, done.stderr)
                assert last.isprintable(), case
            if done.returncode == 0 and option not in FREE | UNUSED and value not in HARMLESS:
                named = printable(value)[:50].rstrip("/")  # a path ends without them
                assert named in done.stderr, case  # it is said to be of no use
    assert {path: path.read_bytes() for path in before} == before


# What is installed: random names, values and metadata of packages


@pytest.mark.parametrize("seed", SEEDS)
def test_packages_of_any_name_with_any_metadata(seed, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path / "site")
    draw = random.Random(seed)
    for number in range(100):
        name = "".join(draw.choices("aAz09-_.~ é\u202e", k=draw.randint(1, 12))).strip() or "x"
        folder = tmp_path / "site" / f"{name}-{number}{draw.choice(['.dist-info', '.egg-info'])}"
        folder.mkdir(parents=True, exist_ok=True)
        lines = [f"{draw.choice(ODD)[:50]} = {draw.choice(ODD)[:50]}" for _ in range(2)]
        points = "\n".join(["[n2n_ablate]", *lines]).encode("utf-8", "surrogateescape")
        folder.joinpath("entry_points.txt").write_bytes(points + draw.randbytes(number % 7))
        for file in draw.sample(["METADATA", "RECORD", "top_level.txt", "INSTALLER"], 2):
            text = f"Name: {draw.choice(ODD)[:30]}\nVersion: {draw.choice(ODD)[:30]}\n"
            content = draw.choice([text.encode("utf-8", "replace"), draw.randbytes(40), b""])
            folder.joinpath(file).write_bytes(content)
    registry = Registry()
    assert registry.get("sampler", "diagonal").origin.plugin == "zs-n2n"
    assert not registry.contested
    assert all(str(item).isprintable() for item in registry.broken)


# Image files: fields of headers with values that no writer writes


def png(width, height, depth, colour, interlace, data):
    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, interlace)
    parts = [(b"IHDR", header), (b"IDAT", zlib.compress(data)), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
        for kind, body in parts
    )


def tiff(draw):
    file = io.BytesIO()
    tifffile.imwrite(file, np.zeros((6, 7, 3), np.uint8), photometric="rgb", compression=None)
    data = bytearray(file.getvalue())
    start = struct.unpack("<I", data[4:8])[0]
    count = struct.unpack("<H", data[start : start + 2])[0]
    entry = start + 2 + 12 * draw.randrange(count)
    field, size, form = draw.choice([(0, 2, "<H"), (2, 2, "<H"), (4, 4, "<I"), (8, 4, "<I")])
    value = draw.choice([0, 1, 2, 3, 7, 255, 65535, 2**31, 2**32 - 1]) % 256**size
    data[entry + field : entry + field + size] = struct.pack(form, value)
    return bytes(data)


def npy(draw):
    shape = draw.choice(
        ["()", "(0,)", "(6, 7)", "(2**40, 2)", "(-1, 7)", "(6, 7, 3)", "(1,)*40", "x"]
    )
    kind = draw.choice(["<f8", "|u1", "|O", "<c16", "<U4", "|b1", "<f2", ">i8", "M8[s]", "zz"])
    text = f"{{'descr': '{kind}', 'fortran_order': {draw.choice([True, False, 3])}, 'shape': {shape}, }}"
    head = (
        b"\x93NUMPY" + bytes(draw.choice([(1, 0), (2, 0), (9, 9)])) + struct.pack("<H", len(text))
    )
    return head + text.encode() + draw.randbytes(draw.choice([0, 42, 336, 1008]))


def image_files(draw):
    sizes = [0, 1, 7, 65535, 2**31 - 1, 2**32 - 1]
    yield ".tif", tiff(draw)
    yield ".npy", npy(draw)
    width, height = draw.choice(sizes), draw.choice(sizes)
    depth, colour = draw.choice([0, 1, 2, 3, 8, 16, 255]), draw.choice([0, 1, 2, 3, 4, 6, 9])
    yield ".png", png(width, height, depth, colour, draw.choice([0, 1, 2]), draw.randbytes(300))


@pytest.mark.parametrize("seed", SEEDS)
def test_a_header_that_no_writer_writes(seed, tmp_path):
    refused = 0
    for number in range(80):
        for suffix, content in image_files(random.Random(f"{seed} {number}")):
            path = tmp_path / f"case{suffix}"
            path.write_bytes(content)
            found = []
            told = one_line(lambda path=path, found=found: found.extend(collect([str(path)])))
            refused += told is not None
            assert told is None or path.name in told, (seed, number, suffix)
            for image in found:
                assert torch.isfinite(image.pixels).all(), (seed, number, suffix)
                assert image.pixels.shape[1] in (1, 3), (seed, number, suffix)
    assert refused > 100


# Addresses and names


@pytest.mark.parametrize("seed", SEEDS)
def test_an_address_with_any_password_is_shown_without_it(seed, monkeypatch):
    letters = "aZ09 '\"@:/?#%&=\\$`[]{}<>|;☃é\t~!*()+,"
    for number in range(150):
        draw = random.Random(f"{seed} {number}")
        password = "Pw" + "".join(draw.choices(letters, k=draw.randint(6, 20))) + "9"
        given = draw.choice([quote(password, safe=""), password.replace("/", "_")])
        scheme = draw.choice(["http", "https", "postgresql", "postgresql+psycopg", "mysql", "s3"])
        url = f"{scheme}://{draw.choice(['me', '', 'ü'])}:{given}@127.0.0.1:9/{draw.choice('xyz')}"
        monkeypatch.setattr(redaction, "_remembered", set())
        redaction.remember(url)
        text = draw.choice(["cannot open {}", "--tracking-uri {}", "('{}',)", "<{}>", "a {} b {}"])
        for shown in (
            redaction.redact(text.format(url, url)),
            redaction.redact_command(["n2n-ablate", "sync", f"--tracking-uri={url}"]),
            redaction.redact(f"password authentication failed: {given}"),
        ):
            assert given not in shown, (seed, number)


@pytest.mark.parametrize("seed", SEEDS)
def test_an_output_folder_of_any_name(seed, tmp_path):
    for number in range(60):
        draw = random.Random(f"{seed} {number}")
        letters = "a% ?#&=+;:@'\"\n\t\x1b\\~$*[]{}|<>é☃\u202e\U0001f600"
        name = "".join(draw.choices(letters, k=draw.randint(1, 20)))
        file = Output(tmp_path / name).root / "optuna.db"
        assert sqlite_file(sqlite_url(file)) == file, (seed, number)
        assert file.parent.parent == tmp_path.resolve(), (seed, number)


# Journals: a value exchanged, a key lost, a line doubled, moved or cut


def spoiled(lines, draw):
    lines = copy.deepcopy(lines)
    place = draw.randrange(len(lines))
    kind = draw.randrange(5)
    if kind == 0:
        lines.insert(draw.randrange(len(lines)), lines.pop(place))
    elif kind == 1:
        lines.insert(place, copy.deepcopy(draw.choice(lines)))
    else:
        inside, key = lines, place
        while isinstance(inside[key], dict | list) and inside[key] and draw.random() < 0.8:
            inside = inside[key]
            key = (
                draw.choice(list(inside))
                if isinstance(inside, dict)
                else draw.randrange(len(inside))
            )
        if kind == 2:
            del inside[key]
        else:
            inside[key] = copy.deepcopy(draw.choice(WRONG))
    return "".join(f"{json.dumps(line)}\n" for line in lines)


@pytest.mark.parametrize("seed", SEEDS)
def test_a_journal_that_something_else_wrote(seed, stocked, tmp_path):
    shutil.copytree(stocked / "mlruns", tmp_path / "mlruns")
    root = tmp_path / "mlruns"
    (path,) = (root / "studies" / "tiny").iterdir()
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    fits = sorted(Path(root / "fits").rglob("*.safetensors"))
    for number in range(150):
        draw = random.Random(f"{seed} {number}")
        path.write_text(spoiled(lines, draw))
        for action in (
            lambda: journal.find(root, "tiny"),
            lambda: reopen.reopen(root, "tiny").problems(),
            lambda: cached_fits(Output(root, reading=True)),
        ):
            try:
                one_line(action)
            except Exception as error:
                error.add_note(f"seed {seed}, number {number}")
                raise
    assert sorted(Path(root / "fits").rglob("*.safetensors")) == fits
