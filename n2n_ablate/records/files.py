"""What hooks hand over beside results: pictures and tables, made when a listener asks for them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Protocol


class TrialFiles(Protocol):
    """The pictures and tables of one trial."""

    def diagnostics(self) -> Mapping[str, Mapping[str, float]]:
        """Return what is measured of the trial's sampler, by condition and name: `leak`, `gap`, ...

        Empty where it cannot be measured: its plugin or the images are gone. Takes 0.1 to 0.2 s.
        """
        ...

    def write(self, folder: Path) -> None:
        """Write pictures, curves, tables and the recipe into an existing folder.

        Denoised images are read from the store, where they are not in the result.
        """
        ...


class StudyFiles(Protocol):
    """The tables of a study, with the diagnostics of those trials that were asked for them."""

    def markdown(self) -> str:
        """Return question, answer and tables."""
        ...

    def write(self, folder: Path) -> None:
        """Write a table per condition, the study file and the diagnostics into an existing folder."""
        ...
