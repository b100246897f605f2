"""What a study would do and cost: its trials and images, measured time and memory. Trains a few steps."""

from __future__ import annotations

from dataclasses import dataclass

from n2n_ablate.runner.estimate import Estimate, PlanTimer, peak_memory
from n2n_ablate.runner.session import Request, Session, open_session
from n2n_ablate.storage.fit_store import FitStore
from n2n_ablate.storage.output import Output
from n2n_ablate.study import Plan


@dataclass(frozen=True)
class StudyPlan:
    """A study before it is run.

    Attributes:
        session: Everything decided: plan, images, machine.
        cost: Of the trials.
        confirmation: Of the confirmation; None without one.
        memory: Peak of the training in bytes, of all fits that run side by side.
    """

    session: Session
    cost: Estimate
    confirmation: Estimate | None
    memory: int

    @property
    def plan(self) -> Plan:
        """The study with everything decided."""
        return self.session.plan

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
    return StudyPlan(session, *estimates(session, timer), peak_memory(session.paired_data))


def estimates(session: Session, timer: PlanTimer) -> tuple[Estimate, Estimate | None]:
    """Return what the trials take, and their confirmation if there is one."""
    cost, paired_data = timer.estimate(session.plan, session.paired_data), session.confirmation_data
    if paired_data is None:
        return cost, None
    return cost, timer.estimate(paired_data.plan, paired_data, more=session.best_to_confirm)
