"""Opens a study from disk: its journal and the fit store give plan and results, nothing is trained.

No image and no plugin has to be there: see `gallery` for the images that still are.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from n2n_ablate.errors import StoreError
from n2n_ablate.records import FitResult, Header, Row, StudyTrials, TrialResult
from n2n_ablate.storage import journal, runs
from n2n_ablate.storage.fit_store import FitStore
from n2n_ablate.storage.journal import Command, Contents, Entry
from n2n_ablate.storage.output import Output
from n2n_ablate.study import Plan, Trial

_NAMED = 3  # fits that a message names; it counts the others


@dataclass(frozen=True)
class Lost:
    """A fit of a finished trial whose stored result cannot be read."""

    # which fit it is
    trial: str
    condition: str
    image: str
    seed: int
    key: str  # in the fit store
    why: str  # `missing` or `damaged`


@dataclass(frozen=True, eq=False)
class Reopened:
    """A study as it was left."""

    # every trial that was finished, in the order in which it was. A fit whose result is lost is a
    # failed fit: it is counted, and its image left out of the trial's means.
    result: StudyTrials
    header: Header  # what all trials share: images, steps, device, precision
    commands: tuple[Command, ...]  # every run of the command, in order
    finished: frozenset[str]  # trials that are whole; a race may give others further images
    lost: tuple[Lost, ...]  # fits whose results are lost
    journal: Contents  # what was read
    store: FitStore
    # the confirmation, opened alike; its result is also `result.confirmed`, its header
    # `header.confirmed`. None if there is none or it has not begun.
    confirmation: Reopened | None = None
    # all runs of the study, the most recently used first; empty if nobody looked
    runs: tuple[Contents, ...] = ()

    @property
    def latest(self) -> bool:
        """Whether no other run of the study was used since."""
        return not self.runs or self.runs[0] is self.journal

    @property
    def plan(self) -> Plan:
        """What was asked."""
        return self.result.plan

    @property
    def unfinished(self) -> tuple[str, ...]:
        """Names of the trials that were planned and are not finished."""
        return tuple(t.name for t in self.plan.fixed if t.name not in self.finished)

    def with_images(self, trial_result: TrialResult) -> TrialResult:
        """Return a trial with its denoised images, read from the store."""
        return trial_result.with_images()

    def denoised(self, row: Row) -> np.ndarray | None:
        """Return the denoised image of a fit, float32 (c, h, w) from 0 to 1; None if it has none."""
        image = self._whole(row.result).denoised
        return None if image is None else image.astype(np.float32) / 65535

    def problems(self) -> list[str]:
        """Return one sentence for each thing that a reader of the results has to know is missing.

        An image that is damaged is among them once it has been asked for.
        """
        problems = []
        if self.lost:
            total = sum(len(trial_result.rows) for trial_result in self.result.trials)
            kinds = ", ".join(f"{n} {why}" for why, n in Counter(x.why for x in self.lost).items())
            names = [f"{x.trial} on {x.image}, seed {x.seed}" for x in self.lost[:_NAMED]]
            rest = f" and {len(self.lost) - _NAMED} more" if len(self.lost) > _NAMED else ""
            problems.append(
                f"{len(self.lost)} of {total} fits have no stored result ({kinds}): "
                f"{'; '.join(names)}{rest}. Running the study again trains them."
            )
        if self.unfinished:
            problems.append(
                f"planned trials that are not finished: {', '.join(self.unfinished)}. "
                "Run the study again to finish them."
            )
        if not self.plan.confirming:
            problems += self.store.imageless_told()
        if self.confirmation:
            problems += [f"confirmation: {text}" for text in self.confirmation.problems()]
        elif self.plan.profile.confirm and not self.plan.confirming:
            problems.append("its confirmation has not begun. Run the study again to start it.")
        if count := self.journal.unreadable:
            problems.append(
                f"{count} line{'s' * (count > 1)} of '{self.journal.path}' cannot be read. "
                "Running the study again writes what stood there."
            )
        return problems

    def _whole(self, result: FitResult) -> FitResult:
        if result.failure or result.denoised is not None:
            return result
        return self.store.load(result.key, with_image=True) or result


def reopen(root: Path, study: str, profile: str = "", run: str = "") -> Reopened:
    """Open a run of a study, by default the most recently used.

    `root`: the output folder; `profile`: of this profile; empty for any; `run`: the one whose key begins so;
    empty for any.
    """
    journals = journal.find(root, study)
    chosen = runs.pick(journal.of_profile(journals, profile), run)
    return replace(opened(chosen, root), runs=tuple(journals))


def every(root: Path, study: str = "", profile: str = "") -> Iterator[Contents]:
    """Yield the journals of one study, or of all: for each study the most recently used last."""
    for name in [study] if study else journal.studies(root):
        try:
            yield from reversed(journal.find(root, name, profile))
        except StoreError:
            if study:  # of all studies not every one needs to have the profile
                raise


def opened(contents: Contents, root: Path) -> Reopened:
    """Open what a journal tells."""
    header = contents.header
    if header is None:
        msg = (
            f"the journal '{contents.path}' cannot be opened: {contents.problem}. "
            "Run the study again: its fits are cached."
        )
        raise StoreError(msg)
    store = FitStore(Output(root, reading=True), reading=True)
    stage = _stage(contents, header, contents.trials.values(), store)
    later = contents.confirm
    if later is None or later.header is None:
        return stage
    planned = {trial.name for trial in later.header.plan.fixed}  # a recipe may have had two names
    entries = [entry for entry in later.trials.values() if entry.name in planned]
    confirmation = _stage(later, later.header, entries, store)
    return replace(
        stage,
        result=stage.result.with_confirmed(confirmation.result),
        header=header.with_confirmed(later.header),
        confirmation=confirmation,
    )


def _stage(
    contents: Contents, header: Header, entries: Iterable[Entry], store: FitStore
) -> Reopened:
    lost: list[Lost] = []
    known = list(entries)
    trials = tuple(_trial(entry, contents, header, store, lost) for entry in known)
    return Reopened(
        result=StudyTrials(header.plan, trials, contents.reference_methods, header=header),
        header=header,
        commands=tuple(contents.commands.values()),
        finished=frozenset(entry.name for entry in known if not entry.more),
        lost=tuple(lost),
        journal=contents,
        store=store,
    )


def _trial(
    entry: Entry, contents: Contents, header: Header, store: FitStore, lost: list[Lost]
) -> TrialResult:
    plan, before = header.plan, len(lost)
    places = header.places()
    if header.interim_sizes:  # in a race a contrast that is settled gets no further images
        places = header.places(len(entry.fits) // (len(plan.conditions) * len(plan.profile.seeds)))
    if len(places) != len(entry.fits):
        msg = f"trial '{entry.name}' has {len(entry.fits)} fits, its journal says {len(places)}"
        raise StoreError(msg)
    rows = []
    for (label, mark, seed), key in zip(places, entry.fits, strict=True):
        result = store.load(key)
        if result is None and key in entry.failures:
            result = _failed(key, entry.failures[key])
        if result is None:
            path = store.path(key)
            damaged = path in store.damaged or path.with_suffix(".damaged").exists()
            why = "damaged" if damaged else "missing"
            lost.append(Lost(entry.name, label, mark.name, seed, key, why))
            result = _failed(key, f"its stored result is {why}")
        rows.append(Row(label, mark.name, seed, result, cached=True))
    trial = Trial(entry.name, entry.role, entry.recipe, entry.values)
    command = contents.commands.get(entry.command)
    return TrialResult(
        trial,
        tuple(rows),
        lambda key: store.load(key, with_image=True),
        command.invocation if command else None,
        entry.at,
        len(lost) - before,
    )


def _failed(key: str, why: str) -> FitResult:
    empty = np.array([], dtype=np.int32)
    return FitResult(key, {}, empty, {}, None, 0.0, failure=why, passing=True)
