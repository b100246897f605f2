"""What every search strategy promises. Subclass `StrategyContract`, set `strategy`, run pytest."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from n2n_ablate.components import declared
from n2n_ablate.components.strategy import ask, has_pickle, quiet, replay
from n2n_ablate.testing.contract import Contract
from n2n_ablate.testing.promise import require

POINTS = 12
"""How many points are asked for, after three that were declared."""


class StrategyContract(Contract):
    """The promises of a search strategy, as tests, on numbers, whole numbers and words.

    Attributes:
        strategy: The strategy under test.
    """

    kind = "strategy"
    strategy: ClassVar[Any]

    def test_points_lie_in_the_space(self) -> None:
        """A sampler of Optuna's chooses points within the ranges: numbers, whole numbers, words."""
        space = _space()
        for trial in self._searched(6).trials:
            require(set(trial.params) == set(space), f"it chose {trial.params}")
            for name, value in trial.params.items():
                inside = space[name]._contains(space[name].to_internal_repr(value))
                require(inside, f"it chose {name} = {value!r} from {space[name]}")

    def test_same_seed_same_points(self) -> None:
        """With one seed and the same scores it chooses the same points, also if it is interrupted.

        Made anew, and asked in memory for what it had chosen, it chooses on as if it had not been.
        """
        whole, part = self._searched(6), self._searched(4)
        sampler = self._sampler()
        replay(sampler, part, _space(), lambda trial: "declared" not in trial.user_attrs)
        part.sampler = sampler
        _search(part, 2)
        first, second = ([trial.params for trial in study.trials[3:]] for study in (whole, part))
        problem = f"{second[:4]} instead of {first[:4]} with the same seed"
        require(first[:4] == second[:4], problem)
        problem = f"{second[4:]} after an interruption, {first[4:]} without"
        require(first == second, problem)

    def test_pickles_are_declared(self) -> None:
        """Without `stores_pickles` nothing that it stores with trials or studies is a pickle."""
        if not declared(self.strategy, "stores_pickles", False):
            study = self._searched(POINTS)
            stored = study._storage.get_study_system_attrs(study._study_id)
            attributes = [stored, *(trial.system_attrs for trial in study.trials)]
            require(
                not has_pickle(attributes), "it stores a pickle, and stores_pickles is not declared"
            )

    def test_what_all_share_is_left_alone(self) -> None:
        """Choosing changes nothing that all share: no global generator, no setting of torch."""
        self.require_harmless(lambda: self._searched(3) and None)

    def _sampler(self) -> Any:
        import optuna

        sampler = self.strategy.sampler(7)
        wanted = isinstance(sampler, optuna.samplers.BaseSampler)
        require(wanted, f"sampler(seed) gave {sampler!r}, which is no sampler of Optuna's")
        return sampler

    def _searched(self, count: int) -> Any:
        """Return a study in memory: three declared trials, then so many that were chosen."""
        import optuna

        quiet()
        study = optuna.create_study(direction="maximize", sampler=self._sampler())
        for number in (0.1, 0.4, 0.5):
            point = {"number": number, "whole": 10, "word": "one"}
            study.add_trial(
                optuna.trial.create_trial(
                    params=point,
                    distributions=_space(),
                    value=_score(point),
                    user_attrs={"declared": True},
                )
            )
        _search(study, count)
        return study


def _search(study: Any, count: int) -> None:
    for _ in range(count):
        trial = ask(study, _space())
        study.tell(trial, _score(trial.params))


def _space() -> dict[str, Any]:
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

    return {
        "number": FloatDistribution(0.05, 0.5),
        "whole": IntDistribution(10, 40),
        "word": CategoricalDistribution(["one", "other"]),
    }


def _score(point: Mapping[str, Any]) -> float:
    return float(-((point["number"] - 0.2) ** 2) - abs(point["whole"] - 20) / 100)
