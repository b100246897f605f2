"""`n2n-ablate sync`: writes studies that were run here, or elsewhere, into MLflow or another tracker."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from n2n_ablate.cli import options
from n2n_ablate.cli.screen import say, show, show_json
from n2n_ablate.errors import BusyError, StoreError, StoreUnavailableError
from n2n_ablate.report.numbers import pluralize

if TYPE_CHECKING:
    from pathlib import Path

    from n2n_ablate.registry import Registry
    from n2n_ablate.runner.replay import Synced
    from n2n_ablate.storage.journal import Contents
    from n2n_ablate.storage.output import Output

_STUDY = "Name of a study that was run; by default all."


def run(
    study: Annotated[str, typer.Argument(help=_STUDY, metavar="STUDY")] = "",
    profile: Annotated[str, options.option("Only runs of this profile.", "NAME")] = "",
    images: options.SourceImages = None,
    output: options.Output = options.MLRUNS,
    tracking_uri: options.TrackingUri = "",
    to: Annotated[str, options.option("Plugin that listens to studies.", "NAME")] = "mlflow",
    plugins_dir: options.PluginsDir = None,
    *,
    as_json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Write finished studies to MLflow or another tracker.

    They are read from the output folder. Runs that MLflow already has are left as they are.

    Examples:
        n2n-ablate sync
        n2n-ablate sync samplers --output from-the-gpu/mlruns --images photos/
        n2n-ablate sync samplers --to tensorboard
    """
    from n2n_ablate.registry import Registry
    from n2n_ablate.runner.replay import sync
    from n2n_ablate.storage.output import Output

    journals = _journals(output, study, profile)
    registry = Registry(plugins_dir=plugins_dir, local_if_needed=to == "mlflow")
    folder = Output(output)
    if to != "mlflow":
        _replay(journals, folder, registry, to, images or [])
        return
    done: list[Synced] = []
    refused: set[str] = set()
    for contents in journals:
        try:
            one = sync(contents, folder, registry, uri=tracking_uri, images=images or [], say=say)
        except StoreUnavailableError:
            raise  # nobody is there to hear of the others
        except (BusyError, StoreError) as error:
            if str(error) not in refused:  # what is wrong with the store itself is wrong for all
                say(f"error: {error}")
            refused.add(str(error))
            continue
        done.append(one)
        if not as_json:
            _report(one, quiet=quiet)
    if as_json:
        show_json([asdict(one) for one in done])
    if refused:
        raise typer.Exit(1)


def _journals(output: Path, study: str, profile: str) -> list[Contents]:
    """Return the journals that are asked for."""
    from n2n_ablate.storage import reopen

    journals = list(reopen.every(output, study, profile))
    if not journals:
        what = f" with profile '{profile}'" if profile else ""
        msg = f"no study has been run{what} in '{output}'. Name another output folder with --output DIR."
        raise StoreError(msg)
    return journals


def _replay(
    journals: list[Contents], output: Output, registry: Registry, to: str, images: list[str]
) -> None:
    from n2n_ablate.runner.replay import listener, replay

    plugin = listener(registry, to)
    for contents in journals:
        _, problems = replay(contents, output, registry, plugin, images=images, say=say)
        show(f"{contents.path.parent.name} ({contents.profile}): told to '{to}'")
        for problem in problems:
            say(f"  {problem}")


def _report(one: Synced, *, quiet: bool) -> None:
    text = f"{one.study} ({one.profile}): {one.trials} trials, {one.written} runs written"
    if one.repaired:
        text += f", {one.repaired} ended that a dead process had left running"
    if one.orphans:
        text += f", {pluralize(one.orphans, 'folder')} of runs that are gone removed"
    show(text)
    for problem in () if quiet else one.problems:
        say(f"  {problem}")
