"""Makes the pictures and tables that hooks hand over, once a listener asks for them."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from n2n_ablate.analysis.diagnoses import ByCondition, Diagnoses
from n2n_ablate.components.spec import ComponentSpec
from n2n_ablate.diagnostics.model import flat
from n2n_ablate.errors import AblateError
from n2n_ablate.records import NoisySample, StudyTrials, TrialResult
from n2n_ablate.registry import Registry


class RunFiles:
    """Remembers what was measured of the samplers of a study, its confirmation included.

    Args:
        registry: To measure and to draw samplers; without it neither is done.
    """

    def __init__(self, registry: Registry | None = None) -> None:
        self.registry = registry
        self.diagnoses: dict[str, ByCondition] = {}
        self._measured = Diagnoses(registry) if registry else None

    def measure(
        self, name: str, result: TrialResult, samples: Sequence[NoisySample]
    ) -> ByCondition:
        """Measure a trial's sampler, once; images may be gone, and what fails is left out."""
        if name not in self.diagnoses and self._measured and samples:
            with contextlib.suppress(AblateError):
                self.diagnoses[name] = self._measured.of(result.trial.recipe, samples)
        return self.diagnoses.get(name, {})

    def made(self, kind: str, spec: ComponentSpec | None) -> Any:
        """Return a component, None if its plugin is gone: its results are not."""
        if self.registry is None or spec is None:
            return None
        with contextlib.suppress(AblateError):
            return self.registry.build(kind, spec.name, spec.parameters)
        return None


class FilesOfTrial:
    """See `records.TrialFiles`."""

    def __init__(
        self,
        files: RunFiles,
        result: TrialResult,
        so_far: StudyTrials,
        samples: Sequence[NoisySample],
    ) -> None:
        self._files, self._plan, self._samples = files, so_far.plan, samples
        self._result = result.light() if result.load else result  # it may wait in a queue

    def _diagnoses(self) -> ByCondition:
        confirmed = " (confirm)" if self._plan.confirming else ""
        return self._files.measure(
            f"{self._result.trial.name}{confirmed}", self._result, self._samples
        )

    def diagnostics(self) -> Mapping[str, Mapping[str, float]]:
        """See `records.TrialFiles`."""
        return {label: flat(each.total) for label, each in self._diagnoses().items()}

    def write(self, folder: Path) -> None:
        """See `records.TrialFiles`."""
        from n2n_ablate.report.tracker_files import write_trial  # late: figures take a second

        result, made = self._result, self._files.made
        write_trial(
            folder,
            self._plan,
            result.with_images(),
            self._samples,
            sampler=made("sampler", result.trial.recipe.specs["sampler"]),
            noise=made("noise", self._plan.conditions[0].noise),
            diagnoses=self._diagnoses() or None,
        )


class FilesOfStudy:
    """See `records.StudyFiles`."""

    def __init__(self, files: RunFiles, result: StudyTrials) -> None:
        self._files, self._result = files, result

    def markdown(self) -> str:
        """See `records.StudyFiles`."""
        from n2n_ablate.report.tracker_files import summary

        return summary(self._result, self._files.diagnoses)

    def write(self, folder: Path) -> None:
        """See `records.StudyFiles`."""
        from n2n_ablate.report.tracker_files import write_study

        write_study(folder, self._result, self._files.diagnoses)
