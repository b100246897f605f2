"""The journal of a study: what was asked, by which command, and one line per finished trial.

With the fit store it is enough to open a study again anywhere and to rebuild every view of it. A
file of JSON lines, appended to; each says in `line` what it is: `study` (the header), `command`,
`reference_methods`, `trial`, `confirm`, `end`. Where a kind comes twice, the later line counts. A line
`confirm` holds a header, reference_methods or a trial of the confirmation.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field, PlainValidator, TypeAdapter

from n2n_ablate.components.recipe import Recipe
from n2n_ablate.errors import StoreError, StudyError, nearest, reasoned
from n2n_ablate.files import read_file
from n2n_ablate.records import Header, ImageRef, Invocation, ReferenceMethods
from n2n_ablate.records.fit import FIT_KEY
from n2n_ablate.study import BASELINE, Trial, saved

FORMAT = 2
"""Raise by one when an older program could no longer read what is written."""


@dataclass(frozen=True)
class Command:
    """One run of the command on this journal."""

    invocation: Invocation  # who, with what
    host: str  # name of the machine
    # seconds since 1970; `ended` is 0 if nobody wrote the end
    started: float
    ended: float = 0.0
    # `finished`, `interrupted` or `failed`; empty while it runs or if it was killed
    status: str = ""
    # names of the trials that it showed, in this order; None if nobody wrote the end
    trials: tuple[str, ...] | None = None
    # the same of the confirmation; None also if it showed none
    confirmed: tuple[str, ...] | None = None


@dataclass(frozen=True)
class Entry:
    """A finished trial as the journal tells it."""

    # see `Trial`
    name: str
    role: str
    # with every parameter written out
    recipe: Annotated[Recipe, PlainValidator(Recipe.from_json)]
    # mean over images and conditions of the metric that decides, None if a fit failed
    score: float | None
    # keys in the fit store: by condition, then image, then seed; they become names of files
    fits: tuple[Annotated[str, Field(pattern=FIT_KEY)], ...]
    values: Mapping[str, Any]
    # reason by key, for failed fits whose result is not stored
    failures: Mapping[str, str]
    command: str  # the `Invocation.id` of the command that finished it
    at: float  # when, in seconds since 1970
    more: bool  # True in a race that may give it further images


# Lines may have been written by anything: types are checked, and what is wrong is unreadable.
_COMMAND = TypeAdapter(Command)
_ENTRY = TypeAdapter(Entry)
_REFERENCE_METHODS = TypeAdapter[ReferenceMethods](ReferenceMethods)
HEADER: dict[str, TypeAdapter[Any]] = {
    "images": TypeAdapter(tuple[ImageRef, ...]),
    "steps": TypeAdapter(int),
    **{key: TypeAdapter(str) for key in ("device", "precision", "folder")},
    "interim_sizes": TypeAdapter(tuple[int, ...]),
    "earlier": TypeAdapter(tuple[str, ...]),
}


@dataclass
class Contents:
    """All that a journal says."""

    path: Path  # the file
    header: Header | None = None  # None if there is none that can be read; `problem` then says why
    problem: str = ""
    # in the order in which they were given
    commands: dict[str, Command] = field(default_factory=dict)
    # by name, in the order in which they were first finished
    trials: dict[str, Entry] = field(default_factory=dict)
    reference_methods: ReferenceMethods = field(default_factory=dict)  # see `StudyTrials`
    confirm: Contents | None = None  # what it says of the confirmation, None if that has not begun
    # confirmations on other images or seeds, which came before that
    retired: list[Contents] = field(default_factory=list)
    # lines that a crash cut short, or that something else wrote. Those are not counted that stand
    # before a command that finished, if nothing is missing that was shown.
    unreadable: int = 0

    @property
    def profile(self) -> str:
        """Name of the profile, from the name of the file."""
        return self.path.stem.rpartition("-")[0]

    @property
    def key(self) -> str:
        """Identity of the run: that of its paired data, from the name of the file."""
        return self.path.stem.rpartition("-")[2]

    @property
    def used(self) -> float:
        """When a command last used this journal, in seconds since 1970."""
        started = [command.started for command in self.commands.values()]
        return max(started) if started else 0.0

    def confirmed_on(self, images: Iterable[ImageRef]) -> list[Trial]:
        """Return the trials that were ever confirmed on one of these images, whatever the seeds."""
        asked = {mark.digest for mark in images}
        trials: dict[str, Trial] = {}
        for confirmed in filter(None, (*self.retired, self.confirm)):
            if confirmed.header and asked & {mark.digest for mark in confirmed.header.images}:
                for entry in confirmed.trials.values():
                    trial = Trial(entry.name, entry.role, entry.recipe, entry.values)
                    trials.setdefault(entry.name, trial)
        return [trial for trial in trials.values() if trial.role != BASELINE]


def read(path: Path) -> Contents:
    """Read a journal. A file that is not there says nothing."""
    contents = Contents(path)
    with reasoned(StoreError, f"the journal '{path}' cannot be read"):
        try:
            text = read_file(path).decode("utf-8", errors="replace")
        except FileNotFoundError:
            return contents
    contents.problem = "it has no header that says what was asked"
    before: dict[str, int] = {}  # by command: how many lines were lost when it began
    for text_of_line in filter(None, text.split("\n")):
        try:
            line = json.loads(text_of_line)
            _take(line, contents)
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
            contents.unreadable += 1
            continue
        if line["line"] == "command":
            before[line["invocation"]["id"]] = contents.unreadable
    finished = [command for command in contents.commands.values() if command.status == "finished"]
    if finished and _is_whole(contents, finished[-1]):
        contents.unreadable -= before[finished[-1].invocation.id]
    return contents


def _is_whole(contents: Contents, last: Command) -> bool:
    """Say whether all is there that commands showed; of confirmations, what the last one showed."""
    shown = {name for command in contents.commands.values() for name in command.trials or ()}
    later = contents.confirm.trials if contents.confirm else {}
    known = contents.header is not None and bool(contents.reference_methods)
    return known and shown <= set(contents.trials) and set(last.confirmed or ()) <= set(later)


def find(root: Path, study: str, profile: str = "") -> list[Contents]:
    """Return the journals of a study, the most recently used first."""
    folder = root / "studies"
    names = studies(root)
    if study not in names:
        msg = f"study '{study}' has not been run in '{root}'. {nearest(study, names)}"
        raise StoreError(msg)
    journals = [read(file) for file in journals_in(folder / study)]
    journals.sort(key=lambda contents: (-contents.used, contents.path.name))
    return of_profile(journals, profile)


def of_profile(journals: list[Contents], profile: str) -> list[Contents]:
    """Return those of a study's journals that are of a profile; all of them if it is empty."""
    wanted = [contents for contents in journals if profile in ("", contents.profile)]
    if not wanted:
        study, profiles = journals[0].path.parent.name, {contents.profile for contents in journals}
        msg = f"study '{study}' was not run with profile '{profile}'. {nearest(profile, profiles)}"
        raise StoreError(msg)
    return wanted


def studies(root: Path) -> list[str]:
    """Return the names of the studies that were run in an output folder."""
    return [folder.name for folder in _listed(root / "studies") if journals_in(folder)]


def journals_in(folder: Path) -> list[Path]:
    """Return the files of journals in the folder of a study."""
    return [path for path in _listed(folder) if path.suffix == ".jsonl"]


def _listed(folder: Path) -> list[Path]:
    """Return what is in a folder; nothing if there is none. Being denied is not the same."""
    with reasoned(StoreError, f"the folder '{folder}' cannot be read"):
        try:
            return sorted(folder.iterdir())
        except (FileNotFoundError, NotADirectoryError):
            return []


def _take(line: Mapping[str, Any], contents: Contents) -> None:
    kind = line["line"]
    if kind == "study":
        _take_header(line, contents)
    elif kind == "command":
        started = {"invocation": line["invocation"], "host": line["host"], "started": line["at"]}
        command = _COMMAND.validate_python(started)
        contents.commands[command.invocation.id] = command
    elif kind == "end":
        old = contents.commands[line["command"]]
        ended = {
            "ended": line["at"],
            **{key: line[key] for key in ("status", "trials", "confirmed")},
        }
        contents.commands[line["command"]] = _COMMAND.validate_python({**vars(old), **ended})
    elif kind == "confirm":
        _take_confirm(line["of"], contents)
    elif kind == "reference_methods":
        contents.reference_methods = _REFERENCE_METHODS.validate_python(
            {
                name: {(label, image): figures for label, image, figures in rows}
                for name, rows in line["values"].items()
            }
        )
    elif kind == "trial":
        entry = _ENTRY.validate_python(line)
        contents.trials[entry.name] = entry
    else:
        raise KeyError(kind)


def _take_confirm(line: Mapping[str, Any], contents: Contents) -> None:
    if line["line"] != "study":
        if contents.confirm is None:
            raise KeyError(line["line"])
        _take(line, contents.confirm)
        return
    new = Contents(contents.path)
    _take_header(line, new)
    contents.retired += [contents.confirm] if contents.confirm else []
    for old in contents.retired:
        if old.header and new.header and _same_data(old.header, new.header):
            new.trials, new.reference_methods = old.trials, old.reference_methods
            contents.retired.remove(old)
            break
    contents.confirm = new


def _same_data(one: Header, other: Header) -> bool:
    """Say whether trials of one header are trials of the other: same images, seeds and conditions."""

    def data(header: Header) -> object:
        plan = header.plan
        return header.images, plan.profile.seeds, plan.conditions, plan.baseline.recipe

    return data(one) == data(other)


def _take_header(line: Mapping[str, Any], contents: Contents) -> None:
    contents.header = None
    if line["format"] != FORMAT:
        age = "a newer" if line["format"] > FORMAT else "an older"
        contents.problem = f"it was written by {age} version of n2n-ablate"
        return
    try:
        contents.header = header_from(line)
    except StudyError as error:
        contents.problem = f"its study cannot be read: {error}"


def header_from(line: Mapping[str, Any]) -> Header:
    """Read the header from its line."""
    return Header(
        plan=saved.from_json(line["plan"]),
        **{key: adapter.validate_python(line[key]) for key, adapter in HEADER.items()},
    )
