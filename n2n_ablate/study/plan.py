"""A study with everything decided: the trials that will run, in their order."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field

from n2n_ablate.components.parameters import Domain
from n2n_ablate.components.recipe import Catalogue, canonical
from n2n_ablate.components.spec import ComponentSpec, Value
from n2n_ablate.study.designs import Effect, changed
from n2n_ablate.study.model import (
    Condition,
    Profile,
    Scale,
    Study,
    Trial,
    named,
)
from n2n_ablate.study.settings import setting

_DATA = ("images", "crop", "seeds", "white", "channels")  # of a profile: what trials are run on


@dataclass(frozen=True)
class Plan:
    """A study with everything decided, checked against the components that are installed."""

    study: Study  # what was read from the file
    profile: Profile  # the budget, with the user's settings in it
    baseline: Trial  # the baseline trial
    # trials that always run: the levels of the factors, as the design combines them
    declared: tuple[Trial, ...]
    references: tuple[Trial, ...]  # trials outside the factors
    space: Mapping[str, Domain]  # what a search may vary, empty for other designs
    whole: frozenset[str]  # keys of `space` whose values are whole numbers
    conditions: tuple[Condition, ...]  # noise models with every parameter written out
    # names of the trials whose difference from the baseline is the question
    contrasts: tuple[str, ...]
    metrics: Mapping[str, ComponentSpec]  # what is measured, by name
    settings: tuple[str, ...] = ()  # what the user changed on the command line, as typed
    confirming: bool = False  # True if this is the plan of a confirmation, see `study.confirmation`
    # of a confirmation: names of the contrasts that only an earlier command asked for
    before: tuple[str, ...] = ()
    effects: tuple[Effect, ...] = ()  # of a factorial design, instead of contrasts
    # levels that equal the baseline, as `key=level`; they are not run again
    repeated: tuple[str, ...] = ()
    # units and directions of the metrics, by name
    scales: Mapping[str, Scale] = field(default_factory=dict)
    # what chooses the trials of a search, None for other designs
    strategy: ComponentSpec | None = None

    @property
    def fixed(self) -> tuple[Trial, ...]:
        """All trials that are known beforehand, in the order in which they run."""
        first = self.added.values()  # a limit must not drop what the user has just added
        added = [trial for trial in self.declared if trial.name in first]
        others = [trial for trial in self.declared if trial.name not in first]
        asked = [trial for trial in others if trial.name in self.contrasts]
        rest = [trial for trial in others if trial.name not in self.contrasts]
        everything = (self.baseline, *added, *asked, *rest, *self.references)
        return everything[: self.profile.trials] if self.profile.trials else everything

    @property
    def dropped(self) -> int:
        """How many trials are declared, but beyond the limit."""
        return 1 + len(self.declared) + len(self.references) - len(self.fixed)

    @property
    def added(self) -> Mapping[str, str]:
        """Names of the trials that the user's settings declare, by setting; of one level each."""
        names = {trial.name for trial in self.declared}
        level_names = {text: named(dict([setting(text)])) for text in self.settings}
        return {text: name for text, name in level_names.items() if name in names}

    @property
    def heeded(self) -> tuple[str, ...]:
        """The user's settings without those whose trial is beyond the limit."""
        added, run = self.added, {trial.name for trial in self.fixed}
        return tuple(text for text in self.settings if text not in added or added[text] in run)

    @property
    def searched(self) -> int:
        """How many trials the search strategy may choose."""
        return max(0, self.profile.trials - len(self.fixed)) if self.space else 0

    @property
    def best_to_confirm(self) -> int:
        """How many of a search's best trials will be confirmed, at most."""
        confirm = self.profile.confirm
        return confirm.top if confirm and self.space else 0

    @property
    def key(self) -> str:
        """Identity of the search: equal plans go on with each other's trials.

        The number of trials is not part of it, so a larger budget continues a smaller one.
        """
        content = {
            "name": self.study.name,
            "design": self.study.design,
            "baseline": self.baseline.recipe.to_json(),
            "declared": [
                [trial.name, trial.recipe.to_json()] for trial in (*self.declared, *self.references)
            ],
            "space": {key: str(domain) for key, domain in self.space.items()},
            "conditions": [condition.plain() for condition in self.conditions],
            "decide": self.study.decide,
            "strategy": self.strategy and self.strategy.plain(),
            "images": [getattr(self.profile, name) for name in _DATA],
        }
        return hashlib.sha256(canonical(content).encode()).hexdigest()[:10]

    def trial_key(self, trial: Trial) -> str:
        """Return the identity of a trial, the same whenever the study is run again.

        Another device or changed code gives other fits, but the same trial.
        """
        content = f"{self.key}\n{canonical(trial.recipe.to_json())}"
        return hashlib.sha256(content.encode()).hexdigest()[:16]

    def search_trial(self, values: Mapping[str, Value], registry: Catalogue) -> Trial:
        """Return the trial at a point that the search strategy chose."""
        recipe = changed(self.baseline.recipe, values, registry)
        return Trial(named(values), "search", recipe, dict(values))
