"""What search strategies share: to go on after an interruption, and to leave no pickle behind."""

from __future__ import annotations

import base64
import binascii
import warnings
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution
    from optuna.samplers import BaseSampler
    from optuna.study import Study
    from optuna.trial import FrozenTrial


def replay(
    sampler: BaseSampler,
    study: Study,
    space: Mapping[str, BaseDistribution],
    chosen: Callable[[FrozenTrial], bool],
) -> None:
    """Bring a new sampler to where the one stood that chose the trials of a study.

    In memory it chooses what that one chose, from the trials that were there, and hears the same
    scores. Nothing is written to the study. Where it chooses something else, because trials were
    trained side by side, it hears that its choice failed and that somebody else had the other.

    Args:
        sampler: Made with the seed of the search.
        study: The search so far; its trials are taken in their order.
        space: What is varied.
        chosen: Whether the strategy chose a trial.
    """
    import optuna
    from optuna.trial import TrialState

    storage = optuna.storages.InMemoryStorage()
    for _ in range(study._study_id):  # a sampler refuses to go on in a study of another number
        storage.create_new_study([study.direction])
    memory = optuna.create_study(storage=storage, direction=study.direction, sampler=sampler)
    for trial in study.get_trials(deepcopy=False):
        asked = ask(memory, space) if chosen(trial) else None
        if asked is not None and asked.params == trial.params:
            if trial.state.is_finished():
                memory.tell(asked, trial.values, state=trial.state)
            continue
        if asked is not None:
            memory.tell(asked, state=TrialState.FAIL)
        memory.add_trial(trial)


def quiet() -> None:
    """Keep Optuna from announcing every study on stderr."""
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)


def ask(study: Study, space: Mapping[str, BaseDistribution]) -> Any:
    """Return a new trial of a study, an `optuna.Trial`, without what samplers say beside."""
    from optuna.exceptions import ExperimentalWarning

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ExperimentalWarning)
        return study.ask(fixed_distributions=dict(space))


def has_pickle(attributes: Iterable[Mapping[str, Any]]) -> bool:
    """Say whether a pickle is among what samplers store with trials and studies.

    Their storages take JSON, so a pickle is text there: in base64 or, as Optuna's own, hexadecimal.
    """
    return any(_is_pickle(value) for each in attributes for value in each.values())


def _is_pickle(value: object) -> bool:
    if isinstance(value, list | tuple):
        return any(map(_is_pickle, value))
    if not isinstance(value, str):
        return False
    start = value[:64]
    for decode in (bytes.fromhex, lambda text: base64.b64decode(text, validate=True)):
        with suppress(ValueError, binascii.Error):
            data = decode(start)
            if len(data) > 2 and data[0] == 0x80 and 2 <= data[1] <= 5:
                return True
    return False
