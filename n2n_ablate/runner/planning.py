"""What a study would do, cost and decide: trials, images, time, memory, power. Trains a few steps."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from pathlib import Path

from n2n_ablate import stats
from n2n_ablate.analysis.analyse import analyse
from n2n_ablate.analysis.power import MeasuredSpread, Power, measured_spread, power_of
from n2n_ablate.analysis.rows import metrics_of
from n2n_ablate.analysis.study_records import Family
from n2n_ablate.engine.paired_data import PairedData
from n2n_ablate.errors import AblateError, StoreError
from n2n_ablate.runner.estimate import Estimate, PlanTimer, peak_memory
from n2n_ablate.runner.session import Request, Session, open_session
from n2n_ablate.storage import reopen
from n2n_ablate.storage.fit_store import FitStore
from n2n_ablate.storage.output import Output
from n2n_ablate.study import Plan, Spread, confirmation


@dataclass(frozen=True)
class StudyPlan:
    """A study before it is run."""

    session: Session  # everything decided: plan, images, machine
    cost: Estimate  # of the trials
    confirmation: Estimate | None  # of the confirmation; None without one
    memory: int  # peak of the training in bytes, of all fits that run side by side
    # to decide its contrasts; None for a demonstration, or without contrasts
    power: Power | None = None
    # the same of the profile that has a power of 0.8, or else the highest, where this one has less
    longer: Power | None = None

    @property
    def plan(self) -> Plan:
        """The study with everything decided."""
        return self.session.plan

    @property
    def held_out(self) -> PairedData | None:
        """What the contrasts are confirmed on; None without a confirmation."""
        return self.session.confirmation_data

    @property
    def trials(self) -> tuple[str, ...]:
        """Names of the trials that are known beforehand, in the order in which they run."""
        return tuple(trial.name for trial in self.plan.fixed)

    @property
    def fits(self) -> int:
        """Fits of all trials, the confirmation's included."""
        return self.cost.fits + (self.confirmation.fits if self.confirmation else 0)

    @property
    def seconds(self) -> float:
        """Expected time of everything that is not stored yet."""
        return self.cost.seconds + (self.confirmation.seconds if self.confirmation else 0.0)

    def __repr__(self) -> str:
        return (
            f"<study {self.plan.study.name}, profile {self.plan.profile.name}: "
            f"{self.cost.trials} trials, {self.fits} fits, about {self.seconds:.0f} s>"
        )


def plan_study(request: Request) -> StudyPlan:
    """Check a study and measure what it will take."""
    session = open_session(request)
    machine = session.paired_data.machine
    timer = PlanTimer(FitStore(Output(request.output)), max(machine.stack, machine.workers))
    costs, memory = estimates(session, timer), peak_memory(session.paired_data)
    spread = _spread(session.plan, request.output)
    power = _power(session.plan, session.confirmation_data or session.paired_data, spread)
    longer = None
    if power and (power.equivalence or 0.0) < stats.POWER and power.contrasts:
        longer = _longer(session, request, power, spread)
    return StudyPlan(session, *costs, memory, power, longer)


def _spread(plan: Plan, output: Path) -> Spread | MeasuredSpread | None:
    """Return what the last run of a study in an output folder shows, or else what its file says."""
    with contextlib.suppress(StoreError):
        for contents in reversed(list(reopen.every(output, plan.study.name))):
            stored = reopen.opened(contents, output)
            same = stored.plan.study.decide == plan.study.decide and stored.plan.profile.decides
            if same and (measured := measured_spread(analyse(stored.result, stored.header))):
                return measured
    return plan.study.spread


def _power(
    plan: Plan, deciding: PairedData, spread: Spread | MeasuredSpread | None
) -> Power | None:
    """Return the power of a plan on the data of the stage that decides."""
    stage = deciding.plan
    names = tuple(effect.name for effect in stage.effects) or stage.contrasts
    if not names or not plan.profile.decides:
        return None
    scenes: dict[str, set[str]] = {}  # under each condition: pictures of one scene count once
    for sample in deciding.samples:
        scenes.setdefault(sample.condition.label, set()).add(sample.image.scene)
    return power_of(
        plan.profile.name,
        names,
        Family(len(names) + plan.best_to_confirm, len(plan.conditions)),
        metrics_of(plan)[0],
        min(map(len, scenes.values())),
        len(stage.profile.seeds),
        spread,
        held_out=stage.confirming,
    )


def _longer(
    session: Session, request: Request, power: Power, spread: Spread | MeasuredSpread | None
) -> Power | None:
    """Return the first other profile with a power of 0.8, or that with the most if it is more than here."""
    best = power
    for name, profile in session.plan.study.profiles.items():
        if name == power.profile or not profile.decides:
            continue
        with contextlib.suppress(AblateError):  # its images may not be here
            plan = request.plan(session.plan.study, session.registry, name)
            stage = confirmation(plan) if plan.profile.confirm else plan
            data = PairedData(stage, session.registry, session.paired_data.machine)
            other = _power(plan, data, spread)
            if other and (other.equivalence or 0.0) > (best.equivalence or 0.0):
                best = other
            if (best.equivalence or 0.0) >= stats.POWER:
                break
    return None if best is power else best


def estimates(session: Session, timer: PlanTimer) -> tuple[Estimate, Estimate | None]:
    """Return what the trials take, and their confirmation if there is one."""
    cost, paired_data = timer.estimate(session.plan, session.paired_data), session.confirmation_data
    if paired_data is None:
        return cost, None
    return cost, timer.estimate(paired_data.plan, paired_data, more=session.plan.best_to_confirm)
