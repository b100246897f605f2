"""Writes the generated parts of the documentation: what stands between two markers, nothing else.

    python docs/generate.py            write what has changed
    python docs/generate.py --check    write nothing; name stale files and exit with 1
    python docs/generate.py --gallery  run the studies of the gallery (two minutes) and draw its pictures

A part starts with a line `<!-- generated: NAME -->` and ends with `<!-- /generated -->`.
"""

from __future__ import annotations

import contextlib
import importlib.metadata
import inspect
import io
import json
import re
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any
from unittest.mock import patch

from generator import components, package_readme, python_api
from generator.docstrings import WIDTH, cell, parsed

from n2n_ablate import errors, study
from n2n_ablate.analysis.power import power_of
from n2n_ablate.analysis.rows import metrics_of
from n2n_ablate.analysis.study_records import Family
from n2n_ablate.components import KINDS, PROTOCOLS, CheckpointSelector
from n2n_ablate.registry import hookspecs
from n2n_ablate.study.json_schema import json_schema
from n2n_ablate.testing import CONTRACTS, promises_of

ROOT = Path(__file__).resolve().parent.parent
SCHEMA = Path("n2n_ablate") / "study" / "study.schema.json"
DRAWINGS = Path("docs") / "assets" / "samplers"
PACKAGE_README = Path("README-package.md")

_PART = re.compile(r"(<!-- generated: ([a-z-]+) -->\n).*?(<!-- /generated -->)", re.DOTALL)
_VERSIONS = re.compile(r"<!-- printed by (.*) -->")


def pages() -> list[Path]:
    """Return every page that may have generated parts."""
    return [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]


def refreshed(text: str) -> str:
    """Return a page with its generated parts made again."""

    def replaced(match: re.Match[str]) -> str:
        start, name, end = match.groups()
        if name not in PARTS:
            msg = f"no generated part is called '{name}'. {errors.nearest(name, PARTS)}"
            raise SystemExit(msg)
        if name == "cli" and _says_the_same(match[0]):
            return match[0]
        return f"{start}\n{PARTS[name]().strip()}\n\n{end}"

    return _PART.sub(replaced, text)


def stale() -> dict[Path, str]:
    """Return the files that are out of date, with what they should hold."""
    wanted = {page: refreshed(page.read_text(encoding="utf-8")) for page in pages()}
    readme = ROOT / "README.md"
    wanted |= {ROOT / PACKAGE_README: package_readme.from_readme(wanted[readme])}
    wanted |= {ROOT / SCHEMA: editor_schema()} | components.pictures(ROOT / DRAWINGS)
    return {file: text for file, text in wanted.items() if _read(file) != text}


def forgotten() -> list[Path]:
    """Return the drawings of samplers that are no more."""
    there = set((ROOT / DRAWINGS).glob("*.svg"))
    return sorted(there - components.pictures(ROOT / DRAWINGS).keys())


def _read(file: Path) -> str:
    return file.read_text(encoding="utf-8") if file.is_file() else ""


def editor_schema() -> str:
    """Return the JSON Schema of study files that ships, with the components that ship."""
    registry, _ = components.first_party()
    return json.dumps(json_schema(registry), indent=1, ensure_ascii=False) + "\n"


def cli() -> str:
    """Return the help of every command, as a terminal of 100 columns without colour shows it."""
    sections = [f"<!-- printed by {_printers()} -->"]
    for name in commands():
        sections += [f"## n2n-ablate {name}".rstrip(), f"```text\n{help_of(name)}\n```"]
    return "\n\n".join(sections)


def commands() -> dict[str, Any]:
    """Return the commands by name; the whole of them is called by the empty name."""
    from typer.main import get_command

    from n2n_ablate.cli import app

    group: Any = get_command(app)
    return {"": group, **group.commands}


def help_of(command: str) -> str:
    """Return what `n2n-ablate COMMAND --help` prints."""
    from typer import rich_utils
    from typer.main import get_command

    from n2n_ablate.cli import app

    printed = io.StringIO()
    plain = {"MAX_WIDTH": WIDTH, "COLOR_SYSTEM": None, "FORCE_TERMINAL": False}
    with (
        patch.multiple(rich_utils, **plain),
        contextlib.redirect_stdout(printed),
        contextlib.suppress(SystemExit),
    ):
        get_command(app)([*command.split(), "--help"], prog_name="n2n-ablate")
    return "\n".join(line.rstrip() for line in printed.getvalue().splitlines()).strip("\n")


def protocol(shown: type) -> str:
    """Return a Protocol as it stands in the code."""
    return f'```python title="{shown.__name__}"\n{inspect.getsource(shown).strip()}\n```'


def promises(kind: str) -> str:
    """Return what the test kit checks: one line per test of the kind's contract."""
    contract = CONTRACTS[kind]
    rows = "\n".join(f"- {item.sentence}" for item in promises_of(contract))
    return f"`n2n_ablate.testing.{contract.__name__}`:\n\n{rows}"


def hooks() -> str:
    """Return every hook with its signature and docstring."""
    sections = []
    about = {
        name: f"For components of the kind *{kind}*." for kind, name in hookspecs.HOOK_OF.items()
    }
    about[hookspecs.IMAGE_SETS] = "For named sets of images."
    about |= dict.fromkeys(hookspecs.LIFE_CYCLE, "Life cycle of a study.")
    for name, told in about.items():
        function = getattr(hookspecs, name)
        body, parts = parsed(function)
        signature = f"def {name}{inspect.signature(function)}: ..."
        if len(signature) > WIDTH:  # as ruff breaks it
            signature = re.sub(r"\((.*)\) ->", r"(\n    \1\n) ->", signature)
            if max(map(len, signature.splitlines())) > WIDTH:
                given = inspect.signature(function).parameters.values()
                lines = "".join(f"    {each},\n" for each in given)
                signature = f"def {name}(\n{lines}) -> None: ..."
        sections += [f"## {name}", told, body]
        sections += [f"```python\n{signature.replace(chr(39), '')}\n```"]
        sections += [f"- `{key}`: {text}" for key, text in parts.get("Args", {}).items()]
    return "\n\n".join(sections)


def error_classes() -> str:
    """Return the table of errors that a user can cause."""
    rows = ["| error | what is wrong |", "|---|---|"]
    for name, item in vars(errors).items():
        if inspect.isclass(item) and issubclass(item, errors.AblateError):
            rows.append(f"| `{name}` | {cell(inspect.cleandoc(item.__doc__ or ''))} |")
    return "\n".join(rows)


def studies() -> str:
    """Return the table of the studies that ship."""
    rows = ["| study | question | design | profiles |", "|---|---|---|---|"]
    for name, path in sorted(study.shipped().items()):
        asked = study.read(path)
        profiles = ", ".join(f"`{profile}`" for profile in asked.profiles)
        rows.append(f"| `{name}` | {cell(asked.question)} | {asked.design} | {profiles} |")
    return "\n".join(rows)


def quick_profiles() -> str:
    """Return what the first profile of every study that ships can decide."""
    registry, _ = components.first_party()
    rows = [
        "| study | pictures | steps | fits | verdicts | detects, in sd | zero is equivalent up to an sd of | assumed sd | power |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for name, path in sorted(study.shipped().items()):
        plan = study.plan(study.read(path), registry)
        stage = study.confirmation(plan) if plan.profile.confirm else plan
        names = tuple(effect.name for effect in stage.effects) or stage.contrasts
        count, conditions = len(stage.profile.images), len(plan.conditions)
        if not count:
            continue
        family = Family(len(names) + plan.best_to_confirm, conditions)
        power = power_of(
            *(plan.profile.name, names, family, metrics_of(plan)[0], count),
            *(len(stage.profile.seeds), plan.study.spread),
            held_out=stage.confirming,
        )
        fits = (len(plan.fixed) + plan.searched) * len(plan.profile.images) * conditions
        if stage.confirming:
            each = count * conditions * len(stage.profile.seeds)
            fits += (len(stage.fixed) + plan.best_to_confirm) * each
        sd, chance = "", ""
        if power.contrasts:
            sd, chance = f"{power.contrasts[0].spread:.2g}", f"{power.equivalence or 0:.2f}"
        steps = plan.profile.changes.get("training.steps")
        rows.append(
            f"| `{name}` | {count}{' held out' if stage.confirming else ''} | {steps} | {fits} | {family.size} | "
            f"{power.detectable_per_spread:.2g} | {power.spread_limit:.2g} | {sd} | {chance} |"
        )
    return "\n".join(rows)


PARTS: dict[str, Callable[[], str]] = {
    "cli": cli,
    "components": components.index,
    "hooks": hooks,
    "python": python_api.studies,
    "plugin-names": python_api.plugin_names,
    "test-kit": python_api.test_kit,
    "errors": error_classes,
    "studies": studies,
    "quick-profiles": quick_profiles,
    **{f"components-{kind}": partial(components.of_kind, kind) for kind in KINDS},
    **{f"protocol-{kind}": partial(protocol, PROTOCOLS[kind]) for kind in KINDS},
    "protocol-checkpoint-selector": partial(protocol, CheckpointSelector),
    **{f"promises-{kind}": partial(promises, kind) for kind in KINDS},
}


def _printers() -> str:
    versions = (f"{name} {importlib.metadata.version(name)}" for name in ("typer", "rich"))
    return ", ".join(versions)


def _says_the_same(part: str) -> bool:
    """Say whether another version of Typer printed the same words.

    How Typer draws help changes from release to release. A page that another version printed is
    fresh as long as it has every command, option and sentence that we wrote, and no other option.
    """
    printed = _VERSIONS.search(part)
    if printed is None or printed[1] == _printers():
        return False
    written = " ".join(re.sub(r"[│╭╮╰╯─]", " ", part).split())
    known = {"--help", "--install-completion", "--show-completion"}
    for name, command in commands().items():
        texts = [f"n2n-ablate {name}".rstrip()]
        for item in command.params:
            known |= {option for option in (*item.opts, *item.secondary_opts) if "--" in option}
            texts.append(" ".join((getattr(item, "help", None) or "").split()))
        if not all(text in written for text in texts):
            return False
    return known >= set(re.findall(r"(?<!\S)--[a-z][a-z-]+", written))


def main(arguments: list[str]) -> int:
    """Write the parts, or with `--check` only look; return the exit status."""
    if arguments[:1] == ["--gallery"] and len(arguments) == 1:
        from generator import gallery

        gallery.write(ROOT / "docs" / "assets" / "gallery")
        return 0
    if set(arguments) - {"--check"}:
        print(__doc__, file=sys.stderr)
        return 2
    texts, old = stale(), forgotten()
    for file in [*texts, *old]:
        name = file.relative_to(ROOT)
        if "--check" in arguments:
            print(f"{name} is stale. Write it again: python docs/generate.py", file=sys.stderr)
        elif file in texts:
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(texts[file], encoding="utf-8")
            print(f"wrote {name}")
        else:
            file.unlink()
            print(f"removed {name}")
    return 1 if (texts or old) and "--check" in arguments else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
