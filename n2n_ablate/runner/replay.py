"""Tells a plugin of a stored study as if it were running: the same hooks, nothing is trained."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from n2n_ablate.errors import StoreError, nearest
from n2n_ablate.records import Invocation, StudyTrials
from n2n_ablate.registry import Plugin, Registry
from n2n_ablate.registry.hookspecs import hookimpl
from n2n_ablate.runner.dispatcher import HookDispatcher
from n2n_ablate.storage import reopen
from n2n_ablate.storage.journal import Command, Contents
from n2n_ablate.storage.output import Output
from n2n_ablate.storage.recovered_images import gallery
from n2n_ablate.storage.reopen import Reopened
from n2n_ablate.storage.runs import EndedRuns
from n2n_ablate.study import BASELINE
from n2n_ablate.tracking.tracker import MlflowTracker


@dataclass(frozen=True)
class Synced:
    """What a sync did with one journal."""

    # of which study and profile the journal is
    study: str
    profile: str
    run: str  # its key, see `Contents.key`
    trials: int  # trials in the journal
    written: int  # runs that were written or completed, summaries included
    repaired: int  # runs that a dead process had left running
    orphans: int  # folders of files that were removed because their runs are gone
    problems: tuple[str, ...]  # one sentence for each thing that is missing


class _Notes:
    def __init__(self, say: Callable[[str], None]) -> None:
        self._say = say

    @hookimpl
    def note(self, message: str) -> None:
        self._say(message)


def sync(
    contents: Contents,
    output: Output,
    registry: Registry,
    *,
    uri: str = "",
    images: Sequence[str] = (),
    say: Callable[[str], None] = lambda _: None,
) -> Synced:
    """Tell MLflow of a stored study; what it has already is left alone. See `replay`."""
    tracker = MlflowTracker(output.root, uri, thorough=True)
    stored, problems = replay(contents, output, registry, tracker, images=images, say=say)
    stages = filter(None, (stored, stored.confirmation))
    return Synced(
        study=contents.path.parent.name,
        profile=contents.profile,
        run=contents.key,
        trials=sum(len(stage.result.trials) for stage in stages),
        written=len(tracker.written),
        repaired=tracker.known.repaired,
        orphans=tracker.orphans,
        problems=(*problems, *tracker.problems),
    )


def listener(registry: Registry, name: str) -> Plugin:
    """Return a plugin that listens, by its name.

    Raises:
        StoreError: There is none.
    """
    known = {plugin.origin.plugin: plugin for plugin in registry.listeners}
    if name not in known:
        msg = f"no plugin that listens to studies is called '{name}'. {nearest(name, [*known, 'mlflow'])}"
        raise StoreError(msg)
    return known[name]


def replay(
    contents: Contents,
    output: Output,
    registry: Registry,
    plugin: object,
    *,
    images: Sequence[str] = (),
    say: Callable[[str], None] = lambda _: None,
) -> tuple[Reopened, list[str]]:
    """Call the hooks of one plugin for what one journal tells; return it, and what was missing.

    The hook of points is not called: the curves of a fit have them.

    `output`: the output folder; `plugin`: who hears it, see `listener`, or an object with hooks; `images`:
    where to look for the images first, see `gallery`; `say`: called with what the user should know.

    Raises:
        StoreError: The journal cannot be opened, or the plugin failed.
        BusyError: The study is being run.
    """
    study = contents.path.parent.name
    busy = f"study '{study}' is being run by {{owner}} in '{output.root}'. Sync it later."
    with output.lock(f"{study}-{contents.key}", busy):
        stored = reopen.opened(contents, output.root)
        dispatcher = HookDispatcher(registry)  # others stay silent
        if isinstance(plugin, Plugin):
            dispatcher.add(plugin, replaying=True)
        else:
            dispatcher.join(plugin, "tracking", replaying=True)
        dispatcher.join(_Notes(say), "the notes")
        last = _last(stored)
        ended = EndedRuns(output, stored.plan.study.name, last.invocation.id)
        dispatcher.study_started(stored.plan, last.invocation, *_size(stored), ended, replayed=True)
        problems = _trials(stored, dispatcher, registry, images)
        if stored.confirmation:
            dispatcher.confirmation_started(stored.confirmation.plan, *_size(stored.confirmation))
            later = _trials(stored.confirmation, dispatcher, registry, images)
            problems += [f"confirmation: {text}" for text in later]
        dispatcher.study_finished(_shown(stored, last), last.status or "killed")
        return stored, [*stored.problems(), *problems]


def _last(stored: Reopened) -> Command:
    """Return the last command of a study, one that nothing is known of if there is none."""
    if stored.commands:
        return stored.commands[-1]
    header = stored.header
    return Command(Invocation("unknown", "", header.device, header.precision, {}), "", 0.0)


def _size(stored: Reopened) -> tuple[int, int]:
    rows = len(stored.result.trials[0].rows) if stored.result.trials else 0
    return rows, stored.header.steps


def _trials(
    stored: Reopened, dispatcher: HookDispatcher, registry: Registry, images: Sequence[str]
) -> list[str]:
    recovered = gallery(stored.header, registry, images)
    used = {result.trial.recipe.specs["sampler"].name for result in stored.result.trials}
    gone = ", ".join(sorted(used - set(registry.names("sampler"))))
    problems = [f"samplers that no plugin registers, so not drawn: {gone}"] if gone else []
    # A journal line that was damaged and written again stands at the end.
    trials = sorted(stored.result.trials, key=lambda result: result.trial.role != BASELINE)
    done = [result for result in trials if result.trial.name in stored.finished]
    for count, result in enumerate(done, 1):
        given = {row.image for row in result.rows}
        samples = [sample for sample in recovered.samples if sample.image.name in given]
        so_far = replace(stored.result, trials=tuple(done[:count]), confirmed=None)
        dispatcher.trial_started(result.trial, len(result.rows), len(result.rows))
        whole = result.with_images() if dispatcher.wants_images else result
        dispatcher.trial_finished(whole, so_far, samples)
    return [*problems, *recovered.problems]


def _shown(stored: Reopened, command: Command) -> StudyTrials:
    """Return what a command showed at its end; a killed one would have shown all that is there."""
    trials = {result.trial.name: result for result in stored.result.trials}
    names = trials if command.trials is None else command.trials
    confirmed = stored.result.confirmed
    if confirmed is not None and command.status:
        kept = [one for one in confirmed.trials if one.trial.name in (command.confirmed or ())]
        confirmed = replace(confirmed, trials=tuple(kept)) if kept else None
    shown = tuple(trials[name] for name in names if name in trials)
    return replace(stored.result, trials=shown, confirmed=confirmed)
