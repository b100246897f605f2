"""`n2n-ablate sync`: writes studies that were run here, or elsewhere, into MLflow or another tracker."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from n2n_ablate.cli import options, stdout
from n2n_ablate.cli.screen import results, say
from n2n_ablate.errors import BusyError, StoreError, StoreUnavailableError
from n2n_ablate.report.numbers import pluralize

if TYPE_CHECKING:
    from n2n_ablate.registry import Registry
    from n2n_ablate.runner.replay import Synced
    from n2n_ablate.storage.journal import Contents
    from n2n_ablate.storage.output import Output

_MISTAKE = 1


def run(
    study: Annotated[
        str, typer.Argument(help="Name of a study that was run; by default all.", metavar="STUDY")
    ] = "",
    profile: Annotated[str, typer.Option(help="Only what ran with this profile.")] = "",
    images: options.FoundImages = None,
    output: options.Output = Path("mlruns"),
    tracking_uri: Annotated[
        str,
        typer.Option(help="MLflow server or database instead of the output folder's."),
    ] = "",
    to: Annotated[
        str, typer.Option(help="Name of a plugin that listens to studies, instead of MLflow.")
    ] = "mlflow",
    plugins_dir: options.PluginsDir = None,
    *,
    as_json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Write finished studies to MLflow, or to another tracker, from their stored results.

    Runs that MLflow already has are left as they are.

    Examples:
        n2n-ablate sync

        n2n-ablate sync samplers --output from-the-gpu/mlruns --images photos/

        n2n-ablate sync samplers --to tensorboard
    """
    from n2n_ablate.registry import Registry
    from n2n_ablate.runner.replay import sync
    from n2n_ablate.storage.output import Output

    found = _journals(output, study, profile)
    if to != "mlflow":
        _replay(found, Output(output), Registry(plugins_dir=plugins_dir), to, images or [])
        return
    place, registry = Output(output), Registry(plugins_dir=plugins_dir, local_if_needed=True)
    done: list[Synced] = []
    refused: set[str] = set()
    for contents in found:
        try:
            one = sync(contents, place, registry, uri=tracking_uri, images=images or [], say=say)
        except StoreUnavailableError:
            raise  # nobody is there to be told of the others
        except (BusyError, StoreError) as error:
            if str(error) not in refused:  # what is wrong with the store itself is wrong for all
                say(f"error: {error}")
            refused.add(str(error))
            continue
        done.append(one)
        if not as_json:
            _tell(one, quiet=quiet)
    if as_json:
        stdout.write_json([asdict(one) for one in done])
    if refused:
        raise typer.Exit(_MISTAKE)


def _replay(
    found: list[Contents], output: Output, registry: Registry, to: str, images: list[str]
) -> None:
    from n2n_ablate.runner.replay import listener, replay

    plugin = listener(registry, to)
    for contents in found:
        _, problems = replay(contents, output, registry, plugin, images=images, say=say)
        text = f"{contents.path.parent.name} ({contents.profile}): told to '{to}'"
        results().print(text, markup=False, highlight=False, soft_wrap=True)
        for problem in problems:
            say(f"  {problem}")


def _journals(output: Path, study: str, profile: str) -> list[Contents]:
    """Return the journals that are asked for."""
    from n2n_ablate.storage import reopen

    found = list(reopen.every(output, study, profile))
    if found:
        return found
    what = f" with profile '{profile}'" if profile else ""
    msg = (
        f"no study has been run{what} in '{output}'. Name another output folder with --output DIR."
    )
    raise StoreError(msg)


def _tell(one: Synced, *, quiet: bool) -> None:
    repaired = (
        f", {one.repaired} ended that a dead process had left running" if one.repaired else ""
    )
    if one.orphans:
        repaired += f", {pluralize(one.orphans, 'folder')} of runs that are gone removed"
    text = f"{one.study} ({one.profile}): {one.trials} trials, {one.written} runs written{repaired}"
    results().print(text, markup=False, highlight=False, soft_wrap=True)
    for problem in () if quiet else one.problems:
        say(f"  {problem}")
