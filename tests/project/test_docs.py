"""The documentation is true: generated parts are fresh, commands parse, examples run, links resolve."""

import contextlib
import importlib
import importlib.util
import inspect
import os
import re
import runpy
import shlex
import subprocess
import sys
import tomllib
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from helpers.pages import DOCS, PAGES, ROOT, blocks, prose, shell_lines
from optuna.samplers import TPESampler

import n2n_ablate
from n2n_ablate import engine, images, study, testing
from n2n_ablate.components import KINDS, PROTOCOLS
from n2n_ablate.components.recipe import ComponentSpec, Recipe
from n2n_ablate.registry import Registry, hookspecs
from n2n_ablate.runner.denoising import choose_recipe, denoise_all
from n2n_ablate.testing import scaffold

_LINK = re.compile(r"\]\(([^)\s]+)\)")
BLOCKS = [block for page in PAGES for block in blocks(page)]
PLUGINS = [block for block in BLOCKS if block.title.startswith("plugins/")]
STUDIES = [block for block in BLOCKS if block.title.startswith("studies/")]
TESTS = [block for block in BLOCKS if block.title.startswith("test_")]
COMMANDS = sorted(
    {
        (str(page.relative_to(ROOT)), line)
        for page in PAGES
        for line in shell_lines(page)
        if re.match(r"(n2n-ablate|python -m n2n_ablate) [a-z]", line)
    }
    | {
        (str(file.relative_to(ROOT)), re.split(r"\s{2,}", line.lstrip("# "))[0])
        for file in (ROOT / "studies").glob("*.toml")
        for line in file.read_text(encoding="utf-8").splitlines()
        if line.startswith("#   n2n-ablate ")
    }
)


@pytest.fixture(scope="module")
def generate():
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(DOCS)
        return importlib.import_module("generate")


@pytest.fixture
def desk(folder):
    """A working folder with every plugin and study that the pages show."""
    for block in [*PLUGINS, *STUDIES, *TESTS]:
        path = folder / block.title
        path.parent.mkdir(exist_ok=True)
        path.write_text(block.text)
    return folder


# Generated parts


def test_examples_stand_indented_in_the_help_of_every_command(generate):
    for name in generate.commands():
        _, example, after = generate.help_of(name).partition("Example")
        if example:
            first = after.splitlines()[1]
            assert first.startswith("     n2n-ablate "), f"{name}: {first!r}"


def test_generated_parts_are_fresh(generate, capsys):
    assert generate.main(["--check"]) == 0, capsys.readouterr().err


def test_a_stale_page_is_named_and_left_alone(generate, tmp_path, monkeypatch, capsys):
    page = tmp_path / "README.md"
    page.write_text("<!-- generated: errors -->\nold\n<!-- /generated -->\n")
    old = tmp_path / generate.DRAWINGS / "gone.svg"
    (tmp_path / generate.SCHEMA).parent.mkdir(parents=True)
    old.parent.mkdir(parents=True)
    old.touch()
    monkeypatch.setattr(generate, "ROOT", tmp_path)
    assert generate.main(["--check"]) == 1
    told = capsys.readouterr().err
    assert "README.md is stale" in told
    assert "gone.svg is stale" in told
    assert "old" in page.read_text()
    assert generate.main([]) == 0
    assert "StudyError" in page.read_text()
    assert not old.exists()
    assert generate.main(["--check"]) == 0


def test_every_public_name_has_its_section():
    def sections(*pages):
        text = "\n".join((DOCS / "reference" / f"{page}.md").read_text() for page in pages)
        return re.findall(r"^## (\S+)$", text, re.MULTILINE)

    hooks = [*hookspecs.HOOK_OF.values(), *hookspecs.LIFE_CYCLE, hookspecs.IMAGE_SETS]
    kit = [name for name, item in vars(testing).items() if not inspect.ismodule(item)]
    assert sorted(sections("python", "plugin-names")) == sorted(n2n_ablate.__all__)
    assert sorted(sections("testing")) == sorted(name for name in kit if name[0] != "_")
    assert sorted(sections("hooks")) == sorted(hooks)


def test_every_sampler_has_its_drawing(generate):
    registry, _ = generate.components.first_party()
    names = {entry.name for entry in registry if entry.kind == "sampler"}
    drawn = {file.stem: file.read_text() for file in (ROOT / generate.DRAWINGS).glob("*.svg")}
    assert drawn.keys() == names
    # The published sampler: the two diagonals of a 2x2 cell, half of each pixel, none in both views.
    assert re.findall(r">(\S+)</text>", drawn["diagonal"]) == [".5"] * 4
    assert drawn["diagonal"].count("<path") == 36  # a divided pixel has a second path
    assert "same at every draw" in drawn["diagonal"]
    assert "one draw of many" in drawn["random-partition"]


def test_an_unknown_part_is_named(generate):
    with pytest.raises(SystemExit, match="Did you mean 'errors'"):
        generate.refreshed("<!-- generated: error -->\n<!-- /generated -->\n")


@pytest.mark.parametrize(
    "change", [("", ""), ("--plugins-dir", "--plugin-dir"), ("of seeds", "of sees")]
)
def test_another_typer_may_draw_help_differently_but_not_say_something_else(
    generate, monkeypatch, change
):
    page = (DOCS / "reference" / "cli.md").read_text(encoding="utf-8").replace(*change)
    other = page.replace(generate._printers(), "typer 0.1, rich 0.1").replace("│", " ")
    assert other != page
    assert (generate.refreshed(other) == other) == (change == ("", ""))


def test_help_does_not_depend_on_the_terminal(generate, monkeypatch):
    expected = generate.help_of("study")
    for name, value in {"COLUMNS": "40", "FORCE_COLOR": "1", "TERM": "dumb"}.items():
        monkeypatch.setenv(name, value)
    assert generate.help_of("study") == expected
    assert max(map(len, expected.splitlines())) == generate.WIDTH


# Commands


@pytest.mark.parametrize(("page", "line"), COMMANDS)
def test_every_command_is_one(page, line, desk):
    name, given = parsed(line)
    registry = Registry()
    assert not registry.broken
    for key in ("study", "from_study"):
        if given.get(key) and not given[key].isupper():
            study.find(given[key])
    if name in ("study", "plan") and not given["study"].isupper():
        chosen = {key: given[key] for key in ("profile", "trials", "seeds")}
        asked = study.read(study.find(given["study"]))
        study.plan(asked, registry, settings=given["settings"] or (), **chosen)
    elif name == "denoise" and not given["from_study"]:
        choose_recipe(registry, output=desk, settings=given["settings"] or ())
    elif name == "plugins":
        assert given["kind"] in ("", *KINDS)


def parsed(line):
    """Return command and arguments as the command line reads them; run nothing."""
    from typer.main import get_command

    from n2n_ablate.cli import app

    found = {}
    group = get_command(app)
    for command in group.commands.values():
        command.callback = lambda **given: found.update(given)
    line = line.replace("python -m n2n_ablate", "n2n-ablate").replace("$SLURM_ARRAY_TASK_ID", "1")
    words = shlex.split(line, comments=True)
    with pytest.raises(SystemExit) as end:
        group(words[1:])
    assert not end.value.code, f"{line}: not a command"
    return words[1], found


def servers():
    """Return every command of the pages that starts a server of somebody else's, as words."""
    for page in PAGES:
        for block in blocks(page):
            if block.language == "sh":
                for line in block.text.replace("\\\n", " ").splitlines():
                    if re.search(r"\b(mlflow server|ray start) ", line):
                        yield shlex.split(line)


@pytest.mark.filterwarnings("ignore")  # mlflow's imports warn about their own imports
def test_servers_are_started_with_options_that_exist_and_without_telemetry():
    from mlflow.cli import server

    known = {"mlflow": server, "ray": None}
    if importlib.util.find_spec("ray"):
        from ray.scripts.scripts import start

        known["ray"] = start
    found = list(servers())
    assert {word for words in found for word in words} >= {"mlflow", "ray", "--head", "--address"}
    for words in found:
        program = "mlflow" if "mlflow" in words else "ray"
        if program == "mlflow":
            assert "MLFLOW_DISABLE_TELEMETRY=true" in words[: words.index("mlflow")]
        elif "--head" in words:
            assert "--disable-usage-stats" in words
        options = {word for word in words if word.startswith("--")}
        if known[program] is not None:
            assert options <= {name for one in known[program].params for name in one.opts}


def test_every_make_target_exists():
    rules = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    lines = [(page, line) for page in PAGES for line in shell_lines(page)]
    named = {(page, line.split()[1]) for page, line in lines if line.startswith("make ")}
    assert {target for page, target in named if page.name == "README.md"} >= {"study", "test"}
    assert {target for _, target in named} <= rules


def test_every_page_of_results_says_what_makes_its_figures_again():
    listed = subprocess.run(
        ["make", "-s", "results"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    pages, at = {}, ""
    for line in listed.stdout.splitlines():
        if line.startswith("    "):
            pages[at].append(line.strip())
        else:
            pages[at := line] = []
    assert set(pages) == {f"docs/results/{page.name}" for page in (DOCS / "results").glob("*.md")}
    assert [page for page, commands in pages.items() if not commands] == []


def test_readme_names_every_study_and_no_other():
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    assert set(re.findall(r"^- `([a-z-]+)`:", text, re.MULTILINE)) == set(study.shipped())


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_the_tutorial_works_as_written(desk):
    """Every command but those that install or wait for Ctrl-C, with fewer training steps."""
    for block in PLUGINS:
        if block.title != "plugins/mine.py":
            (desk / block.title).unlink()
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    for line in shell_lines(DOCS / "tutorial.md"):
        words = line.split()
        if words[:1] == ["python"] or words[:2] in (
            ["n2n-ablate", name] for name in ("studies", "plan", "study", "plugins", "denoise")
        ):
            short = words[1] in ("plan", "study", "denoise")
            command = f"{line} --set training.steps=30" if short else line
            done = subprocess.run(
                command, shell=True, check=False, cwd=desk, env={**os.environ, "PATH": path}
            )
            assert done.returncode == 0, line
    assert (desk / "denoised.png").is_file()


# Examples


def test_every_example_of_a_plugin_is_tested():
    """A block without a title would be read by nobody."""
    for block in BLOCKS:
        if block.language == "python" and block.page.parent.name in ("plugins", "how-to"):
            assert block.title, block.page


@pytest.mark.parametrize("title", sorted({block.title for block in BLOCKS if block.title}))
def test_one_file_is_the_same_on_every_page(title):
    assert len({block.text for block in BLOCKS if block.title == title}) == 1


@pytest.mark.parametrize("block", PLUGINS, ids=str)
def test_every_plugin_keeps_its_promises(block, folder, monkeypatch):
    hub = SimpleNamespace(load_module=lambda name, ref: SimpleNamespace(AutoSampler=TPESampler))
    monkeypatch.setitem(sys.modules, "optunahub", hub)  # it would download
    (folder / "own").mkdir()
    (folder / "own" / Path(block.title).name).write_text(block.text)
    registry = Registry(plugins_dir=folder / "own")
    assert not registry.broken
    entries = [entry for entry in registry if entry.origin.source == "--plugins-dir"]
    assert entries or registry.listeners
    for entry in entries:
        assert entry.summary
        component = entry.factory()
        assert isinstance(component, PROTOCOLS[entry.kind])
        keep(testing.CONTRACTS[entry.kind], **{entry.kind: component})


@pytest.mark.parametrize("block", TESTS, ids=str)
def test_every_example_of_a_test_passes(block, desk, monkeypatch):
    monkeypatch.syspath_prepend(desk / "plugins")
    names = runpy.run_path(str(desk / block.title))
    cases = [item for name, item in names.items() if name.startswith("Test")]
    assert cases
    for case in cases:
        keep(case)


def keep(contract, **attributes):
    """Run every promise of a contract, at every setting of the component."""
    case = type("Case", (contract,), attributes)()
    promises = [name for name in dir(case) if name.startswith("test_")]
    assert promises
    for name in promises:
        with contextlib.suppress(testing.NotTried):
            getattr(case, name)()


def test_all_kinds_work_together_in_the_engine(desk):
    registry = Registry()
    noise = registry.build("noise", "speckle", {})
    clean = images.builtin(["coffee"])[0].cropped(24)
    noisy = images.Image("noisy", noise.apply(clean.pixels, torch.Generator().manual_seed(0)))
    recipe = Recipe(
        {
            "sampler": ComponentSpec("shuffled"),
            "backbone": ComponentSpec("linear-filter"),
            "loss": ComponentSpec("absolute-residual"),
            "training": ComponentSpec("cosine-adam", {"steps": 20, "lr": 0.01}),
            "estimator": ComponentSpec("mirrored"),
        }
    ).resolved(registry)
    denoised = denoise_all([noisy], recipe, registry, engine.machine("cpu", "fp32"))[0].image
    assert denoised.shape == clean.pixels.shape


@pytest.mark.parametrize("block", STUDIES, ids=str)
def test_every_study_file_can_be_planned(block, desk):
    asked = study.read(desk / block.title)
    assert asked.name == Path(block.title).stem
    for profile in asked.profiles:
        assert len(study.plan(asked, Registry(), profile=profile).fixed) > 1


# Pages


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_leads_somewhere(page):
    for target in _LINK.findall(prose(page)):
        if target.startswith("https://"):
            continue
        path, _, anchor = target.partition("#")
        file = (page.parent / path).resolve() if path else page
        assert file.is_file(), target
        assert not anchor or anchor in anchors(file), target


def anchors(page):
    headings = re.findall(r"^#+ (.+)$", prose(page), re.MULTILINE)
    plain = (re.sub(r"[^\w\s-]", "", heading).strip().lower() for heading in headings)
    return {re.sub(r"[-\s]+", "-", heading) for heading in plain}


def test_the_navigation_has_every_page():
    listed = re.findall(r' = "(\S+\.md)"', (ROOT / "zensical.toml").read_text())
    assert len(set(listed)) == len(listed)
    written = {page.relative_to(DOCS).as_posix() for page in DOCS.rglob("*.md")}
    assert {page for page in written if not page.startswith("results/")} <= set(listed) <= written


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_page_starts_with_its_one_title(page):
    text = prose(page)
    assert text.startswith("# ")
    assert len(re.findall(r"^# ", text, re.MULTILINE)) == 1


def test_every_dependency_has_its_sentence():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    text = (DOCS / "explanation" / "dependencies.md").read_text(encoding="utf-8")
    for wanted in [*project["dependencies"], *project["optional-dependencies"]["dev"]]:
        name = re.match(r"[\w-]+", wanted)[0]
        assert f"- `{name}`: " in text


@pytest.mark.parametrize("kind", KINDS)
def test_every_page_has_every_promise_of_the_kit(kind):
    text = (DOCS / "plugins" / f"{kind}.md").read_text(encoding="utf-8")
    listed = text.partition("<!-- generated: promises-")[2].partition("<!-- /generated -->")[0]
    told = [line.removeprefix("- ") for line in listed.splitlines() if line.startswith("- ")]
    assert told == [item.sentence for item in testing.promises_of(testing.CONTRACTS[kind])]


def test_the_page_shows_the_sampler_that_new_writes():
    (block,) = [own for own in PLUGINS if own.title == "plugins/my_pair.py"]
    wanted = scaffold.names("sampler", "my-pair")
    assert block.text == wanted.fill("sampler.py")
