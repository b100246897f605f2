"""The files of MLflow's runs, and what is measured of samplers to go with them."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from n2n_ablate.analysis.diagnoses import ByCondition, Diagnoses
from n2n_ablate.components.spec import ComponentSpec
from n2n_ablate.errors import AblateError
from n2n_ablate.records import NoisySample, StudyResult, TrialResult
from n2n_ablate.registry import Registry
from n2n_ablate.report import study_files, trial_files
from n2n_ablate.study import Plan
from n2n_ablate.tracking.store import MlflowStore


class RunFiles:
    """Writes the files of runs.

    Args:
        store: Where they go.
        registry: To draw and to measure samplers; without it neither is done.

    Attributes:
        diagnoses: What was measured, by name of the run.
    """

    def __init__(
        self,
        store: MlflowStore,
        registry: Registry | None,
    ) -> None:
        self.diagnoses: dict[str, ByCondition] = {}
        self._store = store
        self._registry = registry
        self._measured = Diagnoses(registry) if registry else None

    def measure(self, name: str, result: TrialResult, samples: Sequence[NoisySample]) -> None:
        """Measure a trial's sampler: 0.1 to 0.2 s in this thread, and nothing the second time."""
        if self._measured is None or not samples:  # images may be gone
            return
        with contextlib.suppress(AblateError):  # what cannot be measured may still be kept
            self.diagnoses[name] = self._measured.of(result.trial.recipe, samples)

    def keep_trial(
        self,
        run: str,
        name: str,
        plan: Plan,
        result: TrialResult,
        samples: Sequence[NoisySample],
    ) -> None:
        """Write pictures and tables of a trial."""
        with tempfile.TemporaryDirectory() as folder:
            trial_files.write_trial(
                Path(folder),
                plan,
                result.with_images(),
                samples,
                sampler=self._made("sampler", result.trial.recipe.specs["sampler"]),
                noise=self._made("noise", plan.conditions[0].noise),
                diagnoses=self.diagnoses.get(name),
            )
            self._store.keep_files(run, Path(folder))

    def keep_study(self, run: str, result: StudyResult) -> None:
        """Write the tables of a study."""
        with tempfile.TemporaryDirectory() as folder:
            study_files.write_study(Path(folder), result, self.diagnoses)
            self._store.keep_files(run, Path(folder))

    def _made(self, kind: str, spec: ComponentSpec | None) -> Any:
        if self._registry is None or spec is None:
            return None
        try:
            return self._registry.build(kind, spec.name, spec.parameters)
        except AblateError:  # its plugin may be gone; its results are not
            return None
