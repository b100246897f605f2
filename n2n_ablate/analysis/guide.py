"""How well the training loss, which needs no clean image, would have chosen among a study's trials."""

from __future__ import annotations

from dataclasses import replace

from n2n_ablate.analysis.diagnoses import finals
from n2n_ablate.analysis.trials import OWN, StudyResult
from n2n_ablate.diagnostics.relation import LossAlone, loss_alone


def loss_as_guide(result: StudyResult, condition: str) -> LossAlone | None:
    """Tell what the loss alone would have chosen; None where the trials' losses differ in kind.

    Trials outside the question (references) are no choice, and are left out.
    """
    own = tuple(item for item in result.trials if item.trial.role in OWN)
    if len({item.trial.recipe.parts["loss"] for item in own}) != 1:
        return None
    samplers = {item.trial.recipe.parts["sampler"] for item in own}
    return loss_alone(finals(replace(result, trials=own), condition), samplers=len(samplers))
