"""Tells a plugin of a stored study as if it were running: the same hooks, nothing is trained."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from n2n_ablate.errors import StoreError, nearest
from n2n_ablate.records import Invocation
from n2n_ablate.registry import Plugin, Registry
from n2n_ablate.registry.hookspecs import hookimpl
from n2n_ablate.runner.dispatcher import HookDispatcher
from n2n_ablate.storage import reopen
from n2n_ablate.storage.journal import Contents
from n2n_ablate.storage.output import Output
from n2n_ablate.storage.recovered_images import gallery
from n2n_ablate.storage.reopen import Reopened


class _Notes:
    def __init__(self, say: Callable[[str], None]) -> None:
        self._say = say

    @hookimpl
    def note(self, message: str) -> None:
        self._say(message)


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
    plugin: Plugin,
    *,
    images: Sequence[str] = (),
    say: Callable[[str], None] = lambda _: None,
) -> list[str]:
    """Call the hooks of one plugin for what one journal tells; return what was missing.

    Points are not told again: the curves of a fit have them.

    `output`: the output folder; `plugin`: who hears it, see `listener`; `images`: where to look for the
    images first, see `gallery`.

    Raises:
        StoreError: The journal cannot be opened, or the plugin failed.
        BusyError: The study is being run.
    """
    study = contents.path.parent.name
    busy = f"study '{study}' is being run by {{owner}} in '{output.root}'. Sync it later."
    with output.lock(f"{study}-{contents.key}", busy):
        stored = reopen.opened(contents, output.root)
        dispatcher = HookDispatcher(registry.host)  # others stay silent
        dispatcher.add(plugin)
        dispatcher.join(_Notes(say), "the notes")
        last = stored.commands[-1] if stored.commands else None
        header = stored.header
        unknown = Invocation("unknown", "", header.device, header.precision, {})
        about = last.invocation if last else unknown
        dispatcher.study_started(stored.plan, about, *_size(stored))
        problems = _trials(stored, dispatcher, registry, images)
        if stored.confirmation:
            dispatcher.confirmation_started(stored.confirmation.plan, *_size(stored.confirmation))
            later = _trials(stored.confirmation, dispatcher, registry, images)
            problems += [f"confirmation: {text}" for text in later]
        dispatcher.study_finished(stored.result, (last and last.status) or "interrupted")
        if dispatcher.failed:
            msg = f"plugin '{plugin.origin.plugin}' did not take in the whole study"
            raise StoreError(msg)
        return [*stored.problems(), *problems]


def _size(stored: Reopened) -> tuple[int, int]:
    rows = len(stored.result.trials[0].rows) if stored.result.trials else 0
    return rows, stored.header.steps


def _trials(
    stored: Reopened, dispatcher: HookDispatcher, registry: Registry, images: Sequence[str]
) -> list[str]:
    recovered = gallery(stored.header, registry, images)
    trials = sorted(stored.result.trials, key=lambda result: result.trial.role != "baseline")
    done = [result for result in trials if result.trial.name in stored.finished]
    for count, result in enumerate(done, 1):
        given = {row.image for row in result.rows}
        samples = [sample for sample in recovered.samples if sample.image.name in given]
        so_far = replace(stored.result, trials=tuple(done[:count]), confirmed=None)
        dispatcher.trial_started(result.trial, len(result.rows), len(result.rows))
        whole = result.with_images() if dispatcher.wants_images else result
        dispatcher.trial_finished(whole, so_far, samples)
    return list(recovered.problems)
