"""`n2n-ablate studies`: the questions that can be asked, and the runs of one that was asked."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from n2n_ablate.cli import options
from n2n_ablate.cli.screen import results, show_json, table

if TYPE_CHECKING:
    from rich.table import Table

    from n2n_ablate.storage.journal import Contents
    from n2n_ablate.study import Study

_SCHEMA = "Print a JSON Schema of study files, for your editor."


def run(
    study: Annotated[
        str, typer.Argument(help="Show the runs of this study.", metavar="STUDY")
    ] = "",
    output: options.Output = options.MLRUNS,
    plugins_dir: options.PluginsDir = None,
    *,
    schema: Annotated[bool, options.flag(_SCHEMA, "--schema")] = False,
    as_json: options.Json = False,
) -> None:
    """List the available studies, or the runs of one study.

    Available are those that ship and those in ./studies/. A change of images, seeds, settings,
    device or component code starts a new run of a study; report, compare, best and denoise use the
    latest run unless --run says otherwise.

    Examples:
        n2n-ablate studies
        n2n-ablate studies center-weight
    """
    if schema:
        from n2n_ablate.registry import Registry
        from n2n_ablate.study.json_schema import json_schema

        show_json(json_schema(Registry(plugins_dir=plugins_dir)))
    elif study:
        from n2n_ablate.storage import journal

        runs = journal.find(output, study)
        _print([_run(one) for one in runs] if as_json else _runs_table(runs))
    else:
        known = _known()
        _print([_question(*each) for each in known.items()] if as_json else _studies_table(known))


def _print(rows: Table | list[dict[str, Any]]) -> None:
    if isinstance(rows, list):
        show_json(rows)
    else:
        results().print(rows)


def _known() -> dict[str, Study | str]:
    """Return the studies by name; in place of one that cannot be read, why."""
    from n2n_ablate import study
    from n2n_ablate.errors import StudyError

    studies: dict[str, Study | str] = {}
    for name, path in sorted(study.known().items()):
        try:
            studies[name] = study.read(path)
        except StudyError as error:
            studies[name] = f"cannot be read: {error}"
    return studies


def _question(name: str, asked: Study | str) -> dict[str, Any]:
    if isinstance(asked, str):
        return {"study": name, "problem": asked}
    about = {"question": asked.question, "design": asked.design, "profiles": list(asked.profiles)}
    return {"study": name, **about, "problem": None}


def _run(one: Contents) -> dict[str, Any]:
    about = {
        "study": one.path.parent.name,
        "run": one.key,
        "profile": one.profile,
        "used": datetime.fromtimestamp(one.used).astimezone().isoformat(timespec="seconds"),
    }
    header = one.header
    if header is None:
        return about | {"problem": one.problem}
    return about | {
        "plan": header.plan.key,
        "images": [image.name for image in header.images],
        "crop": header.plan.profile.crop,
        "seeds": list(header.plan.profile.seeds),
        "trials": len(one.trials),
        "settings": list(header.plan.settings),
        "device": header.device,
        "precision": header.precision,
        "problem": None,
    }


def _studies_table(known: dict[str, Study | str]) -> Table:
    rows = table("study", "question", "design", "profiles")
    for name, asked in known.items():
        if isinstance(asked, str):
            rows.add_row(name, asked)
        else:
            rows.add_row(name, asked.question, asked.design, " ".join(asked.profiles))
    return rows


def _runs_table(runs_of_study: list[Contents]) -> Table:
    from n2n_ablate.storage import runs

    titles = ("last used", "profile", "images", "seeds", "trials", "settings", "device")
    rows = table("run", *titles, whole="run")  # it is to be copied
    for one in runs_of_study:
        about = (one.key, runs.when(one), one.profile)
        header = one.header
        if header is None:
            rows.add_row(*about, one.problem)
            continue
        profile = header.plan.profile
        crop = f" of {profile.crop}x{profile.crop}" if profile.crop else ""
        seeds, settings = ", ".join(map(str, profile.seeds)), " ".join(header.plan.settings)
        cells = (f"{len(header.images)}{crop}", seeds, str(len(one.trials)), settings)
        rows.add_row(*about, *cells, f"{header.device}, {header.precision}")
    return rows
