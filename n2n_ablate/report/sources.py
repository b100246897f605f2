"""What a report is made from, gathered before anything is written."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from n2n_ablate.analysis.analyse import analyse
from n2n_ablate.analysis.diagnoses import Diagnoses
from n2n_ablate.analysis.study_records import StudyAnalysis
from n2n_ablate.diagnostics import Diagnosis
from n2n_ablate.errors import AblateError
from n2n_ablate.records import StudyTrials
from n2n_ablate.registry import Registry
from n2n_ablate.storage.recovered_images import RecoveredImages
from n2n_ablate.storage.reopen import Reopened


@dataclass(frozen=True, eq=False)
class Sources:
    """What a report is made from."""

    study: Reopened  # as it was left on disk
    analysis: StudyAnalysis  # of its results
    # of the study and of its confirmation; None if nobody looked for them
    images: RecoveredImages | None = None
    later_images: RecoveredImages | None = None
    # of samplers, by name of the trial, then by condition
    diagnoses: Mapping[str, Mapping[str, Diagnosis]] = field(default_factory=dict)
    problems: Sequence[str] = ()  # one sentence for everything that is missing
    figures: bool = False  # whether figures are drawn

    @property
    def deciding(self) -> StudyTrials:
        """The stage that gives the verdicts: the confirmation where there is one."""
        return self.study.result.confirmed or self.study.result

    @property
    def confirmed(self) -> bool:
        """Whether there is a confirmation."""
        return self.analysis.confirmation is not None


def sources(
    study: Reopened,
    images: RecoveredImages | None = None,
    later_images: RecoveredImages | None = None,
    registry: Registry | None = None,
    *,
    figures: bool = False,
) -> Sources:
    """Gather what a report is made from.

    `registry`: measures the samplers; without it, or without images, they are left out; `figures`: whether
    figures are to be drawn.
    """
    problems = [*study.problems(), *(images.problems if images else [])]
    problems += [
        f"confirmation: {problem}" for problem in (later_images.problems if later_images else [])
    ]
    diagnoses: dict[str, Mapping[str, Diagnosis]] = {}
    if images is not None and registry is not None and images.samples:
        measure = Diagnoses(registry)
        for trial in study.result.trials:
            try:
                diagnoses[trial.trial.name] = measure.of(trial.trial.recipe, images.samples)
            except AblateError as error:
                problems.append(f"the sampler of {trial.trial.name} was not measured: {error}")
    analysis = analyse(study.result, study.header)
    unique = tuple(dict.fromkeys(problems))
    return Sources(study, analysis, images, later_images, diagnoses, unique, figures)
