"""Writes studies into MLflow from what is on disk: journals and fits. Twice gives the same runs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from n2n_ablate.records import Invocation, TrialResult
from n2n_ablate.registry import Registry
from n2n_ablate.storage import reopen
from n2n_ablate.storage.journal import Command, Contents
from n2n_ablate.storage.output import Output
from n2n_ablate.storage.recovered_images import gallery
from n2n_ablate.storage.reopen import Reopened
from n2n_ablate.study import BASELINE
from n2n_ablate.tracking.tracker import MlflowTracker


@dataclass(frozen=True)
class Synced:
    """What a sync did with one journal.

    Attributes:
        study, profile: Of which study and profile the journal is.
        run: Its key, see `Contents.key`.
        trials: Trials in the journal.
        written: Runs that were written or completed, summaries included.
        repaired: Runs that a dead process had left running.
        orphans: Folders of files that were removed because their runs are gone.
        problems: One sentence for each thing that is missing.
    """

    study: str
    profile: str
    run: str
    trials: int
    written: int
    repaired: int
    orphans: int
    problems: tuple[str, ...]


def sync(
    contents: Contents,
    output: Output,
    registry: Registry,
    *,
    uri: str = "",
    images: Sequence[str] = (),
    waits: Callable[[str], None] = lambda _: None,
) -> Synced:
    """Write everything that one journal tells into MLflow; leave alone what is there.

    Args:
        contents: The journal.
        output: The output folder.
        registry: Makes the noisy images again and draws the samplers.
        uri: See `tracking.address.tracking_uri`.
        images: Where to look for the images first, see `gallery`.
        waits: Told if another process keeps the store from being opened.

    Raises:
        StoreError: The journal cannot be opened, or MLflow cannot be used.
        BusyError: The study is being run.
    """
    study = contents.path.parent.name
    busy = f"study '{study}' is being run by {{owner}} in '{output.root}'. Sync it later."
    with output.lock(f"{study}-{contents.key}", busy):
        reopened = reopen.opened(contents, output.root)
        lacking: list[str] = []
        tracker = MlflowTracker(output, uri or None, registry, lacking.append, waits, thorough=True)
        with tracker.store.explained():
            problems = _write(reopened, tracker, registry, images) + lacking
    return Synced(
        study=study,
        profile=contents.profile,
        run=contents.key,
        trials=len(reopened.result.trials)
        + (len(reopened.confirmation.result.trials) if reopened.confirmation else 0),
        written=len(tracker.written),
        repaired=tracker.known.repaired,
        orphans=tracker.orphans,
        problems=(*reopened.problems(), *problems),
    )


def _write(
    reopened: Reopened, tracker: MlflowTracker, registry: Registry, images: Sequence[str]
) -> list[str]:
    commands = {command.invocation.id: command for command in reopened.commands}
    last = list(commands.values())[-1] if commands else _nobody(reopened)
    tracker.open(reopened.plan, last.invocation)
    problems = _not_drawn(reopened, registry)
    if machines := sorted(set(tracker.known.running)):
        problems.append(
            f"{len(tracker.known.running)} runs are marked as running on {', '.join(machines)}: "
            "they are left alone"
        )
    problems += _write_trials(reopened, tracker, registry, images, (commands, last))
    if reopened.confirmation:
        tracker.confirm(reopened.confirmation.plan)
        later = _write_trials(reopened.confirmation, tracker, registry, images, (commands, last))
        problems += [f"confirmation: {text}" for text in later]
    trials = {trial_result.trial.name: trial_result for trial_result in reopened.result.trials}
    _summarise(reopened, tracker, last, trials)
    return problems


def _write_trials(
    reopened: Reopened,
    tracker: MlflowTracker,
    registry: Registry,
    images: Sequence[str],
    about: tuple[dict[str, Command], Command],
) -> list[str]:
    """Write the finished trials of a study, or of its confirmation, and say what was missing."""
    recovered = gallery(reopened.header, registry, images)
    commands, last = about
    incomplete = {one.trial for one in reopened.lost}
    lost: list[str] = []
    # A journal line that was damaged and written again stands at the end.
    for trial_result in sorted(
        reopened.result.trials, key=lambda trial_result: trial_result.trial.role != BASELINE
    ):
        if trial_result.trial.name in incomplete and tracker.knows(trial_result):
            # It was written when its fits were still there.
            if tracker.lacks_files(trial_result):
                lost.append(trial_result.trial.name)
            continue
        if trial_result.trial.name not in reopened.finished:
            continue  # a race that was stopped may give it further images
        command_id, at = reopened.finished[trial_result.trial.name]
        invocation = commands.get(command_id, last).invocation
        given = {row.image for row in trial_result.rows}
        samples = [sample for sample in recovered.samples if sample.image.name in given]
        tracker.trial(trial_result, samples, invocation=invocation, at=at or None)
    if lost:
        return [
            *recovered.problems,
            f"files of runs that are gone like their fits: {', '.join(lost)}",
        ]
    return list(recovered.problems)


def _summarise(
    reopened: Reopened,
    tracker: MlflowTracker,
    command: Command,
    trials: dict[str, TrialResult],
) -> None:
    """Write what a command showed at its end; a killed one would have shown all that is there."""
    names = trials if command.trials is None else command.trials
    shown = tuple(trials[name] for name in names if name in trials)
    confirmed = reopened.result.confirmed
    if confirmed is not None and command.status:
        kept = [
            trial_result
            for trial_result in confirmed.trials
            if trial_result.trial.name in (command.confirmed or ())
        ]
        confirmed = replace(confirmed, trials=tuple(kept)) if kept else None
    result = replace(reopened.result, trials=shown, confirmed=confirmed)
    later = reopened.confirmation
    lost = bool(reopened.lost or (later and later.lost))
    tracker.summary(command, result, complete=not lost)


def _not_drawn(reopened: Reopened, registry: Registry) -> list[str]:
    used = {
        trial_result.trial.recipe.specs["sampler"].name for trial_result in reopened.result.trials
    }
    if gone := sorted(used - set(registry.names("sampler"))):
        return [f"samplers that no plugin registers, so not drawn: {', '.join(gone)}"]
    return []


def _nobody(reopened: Reopened) -> Command:
    header = reopened.header
    return Command(Invocation("unknown", "", header.device, header.precision, {}), "", 0.0)
