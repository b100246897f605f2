"""One line per finished trial, appended: which recipe, which fits. Enough to rebuild every view."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from n2n_ablate.errors import StoreError, nearest
from n2n_ablate.output import Output
from n2n_ablate.recipe import Recipe
from n2n_ablate.results import TrialResult
from n2n_ablate.study import Plan


@dataclass(frozen=True)
class Entry:
    """A finished trial as the journal tells it.

    Attributes:
        name, role: See `Trial`.
        recipe: With every parameter written out.
        psnr: Mean over images and conditions, None if every fit failed.
        fits: Keys in the fit store.
    """

    name: str
    role: str
    recipe: Recipe
    psnr: float | None
    fits: tuple[str, ...]


class Journal:
    """The journal of one study on one bench; `key` is the bench's."""

    def __init__(self, output: Output, plan: Plan, key: str) -> None:
        folder = output.root / "studies" / plan.study.name
        folder.mkdir(parents=True, exist_ok=True)
        self.path = folder / f"{plan.profile.name}-{key}.jsonl"
        self._known = {(entry.name, entry.fits, entry.psnr) for entry in read(self.path)}

    def add(self, result: TrialResult, psnr: float | None) -> None:
        """Append a trial, unless it is there already with the same fits."""
        fits = tuple(row.result.key for row in result.rows)
        if (result.trial.name, fits, psnr) in self._known:
            self.path.touch()  # the most recently used journal is the one that `latest` returns
            return
        line = {
            "name": result.trial.name,
            "role": result.trial.role,
            "recipe": result.trial.recipe.to_json(),
            "psnr": psnr,
            "fits": fits,
        }
        try:
            with self.path.open("a", encoding="utf-8") as file:
                file.write(json.dumps(line) + "\n")
        except OSError as error:
            msg = f"the journal '{self.path}' cannot be written: {error.strerror}"
            raise StoreError(msg) from error
        self._known.add((result.trial.name, fits, psnr))


def read(path: Path) -> Iterator[Entry]:
    """Yield the trials of a journal; a last line that a crash cut short is left out."""
    if not path.is_file():
        return
    for line in path.read_text(encoding="utf-8").splitlines():
        try:
            data: dict[str, Any] = json.loads(line)
            recipe = Recipe.from_json(data["recipe"])
            yield Entry(data["name"], data["role"], recipe, data["psnr"], tuple(data["fits"]))
        except (ValueError, KeyError, TypeError):
            continue


def latest(root: Path, study: str) -> tuple[str, list[Entry]]:
    """Return profile and trials of the most recently used journal of a study.

    Raises:
        StoreError: The study has not been run in this output folder.
    """
    folder = root / "studies"
    names = [path.name for path in folder.iterdir()] if folder.is_dir() else []
    if study not in names:
        msg = f"study '{study}' has not been run in '{root}'. {nearest(study, names)}"
        raise StoreError(msg)
    files = sorted((folder / study).glob("*.jsonl"), key=lambda file: file.stat().st_mtime)
    if not files:
        return "", []
    # A trial that was run again stands there twice; its last line counts.
    entries = {entry.name: entry for entry in read(files[-1])}
    return files[-1].stem.rpartition("-")[0], list(entries.values())
