"""Calls the life-cycle hooks of everybody who listens to a study: console, tracking, plugins."""

from __future__ import annotations

import functools
import threading
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from n2n_ablate.analysis import StudyResult, TrialResult
from n2n_ablate.engine import FitResult, Point
from n2n_ablate.engine.paired_data import NoisySample
from n2n_ablate.errors import AblateError
from n2n_ablate.registry import Listener, discovery, hookspecs
from n2n_ablate.registry.discovery import Origin
from n2n_ablate.registry.managed import managed
from n2n_ablate.runner.background import Background, Outside
from n2n_ablate.storage.invocation import Invocation
from n2n_ablate.study import Plan, Trial

_OWN = "own"


class HookDispatcher:
    """Everybody who listens to a study. See `hookspecs` for what each hook means.

    Hooks are called one listener after the other, in the order in which they were added. No
    listener is called twice at the same time. One that raises is named once and hears no more of
    this study; only Ctrl-C gets through.
    """

    def __init__(self) -> None:
        self._members: list[_Member] = []

    def add(self, plugin: Listener) -> None:
        """Add a plugin; one with `background = True` is called in a thread of its own."""
        apart = getattr(plugin.plugin, "background", False) is True
        self._members.append(_ApartPlugin(plugin, self.note) if apart else _Member(plugin))

    def join(self, listener: object, name: str, *, background: bool = False) -> None:
        """Add a listener of our own: its methods are marked with `@hookimpl` like anybody's.

        Args:
            listener: What has the hooks.
            name: What it is called when it fails.
            background: Run it in a thread of its own, so that training never waits for it; it gets
                trials without their images. Whoever calls `study_finished` waits until it has done
                everything, see `Background`.
        """
        own = Listener(Origin(name, _OWN), listener, ())
        self._members.append(_Apart(own, self.note) if background else _Member(own))

    @property
    def wants_images(self) -> bool:
        """Say whether anybody is told of finished trials with their images."""
        return any(member.wants_images for member in self._members)

    def study_started(self, plan: Plan, invocation: Invocation, fits: int, steps: int) -> None:
        """See `hookspecs.study_started`."""
        self._tell("study_started", plan=plan, invocation=invocation, fits=fits, steps=steps)

    def trial_started(self, trial: Trial, fits: int, reused: int) -> None:
        """See `hookspecs.trial_started`."""
        self._tell("trial_started", trial=trial, fits=fits, reused=reused)

    def point(self, point: Point) -> None:
        """See `hookspecs.point`. May be called from any thread."""
        self._tell("point", point=point)

    def fit_finished(self, result: FitResult) -> None:
        """See `hookspecs.fit_finished`."""
        self._tell("fit_finished", result=result)

    def trial_finished(
        self, result: TrialResult, so_far: StudyResult, samples: Sequence[NoisySample]
    ) -> None:
        """See `hookspecs.trial_finished`."""
        self._tell("trial_finished", result=result, so_far=so_far, samples=samples)

    def interim_analysis_finished(self, so_far: StudyResult, images: int) -> None:
        """See `hookspecs.interim_analysis_finished`."""
        self._tell("interim_analysis_finished", so_far=so_far, images=images)

    def confirmation_started(self, plan: Plan, fits: int, steps: int) -> None:
        """See `hookspecs.confirmation_started`."""
        self._tell("confirmation_started", plan=plan, fits=fits, steps=steps)

    def study_finished(self, result: StudyResult, status: str) -> None:
        """See `hookspecs.study_finished`. Returns when every listener has done its work."""
        self._tell("study_finished", result=result, status=status)

    def note(self, message: str) -> None:
        """See `hookspecs.note`. May be called from any thread."""
        self._tell("note", message=message)

    def _tell(self, hook: str, **given: object) -> None:
        for member in self._members:
            if problem := member.call(hook, given):
                self.note(problem)


class _Member:
    """One listener, with a lock of its own: never called twice at the same time."""

    def __init__(self, listener: Listener) -> None:
        self._origin = listener.origin
        self._manager = managed(listener.plugin, listener.origin.plugin)
        callers = self._manager.get_hookcallers(listener.plugin) or []
        self._hooks = {caller.name for caller in callers}
        self._lock = threading.RLock()  # a hook may itself give rise to a note
        self._broken = False

    @property
    def wants_images(self) -> bool:
        """Say whether it is somebody's plugin, and hears of finished trials as they end."""
        return self._origin.road != _OWN and "trial_finished" in self._hooks

    def call(self, hook: str, given: dict[str, Any]) -> str:
        """Call a hook; return in one line why it failed, empty if it did not."""
        if hook not in self._hooks:
            return ""
        with self._lock:
            if self._broken:
                return ""
            try:
                self._hear(hook, given)
            except (Exception, SystemExit) as error:  # noqa: BLE001  listening must never cost results
                self._broken = True
                return self._told(error, hook)
        return ""

    def _hear(self, hook: str, given: dict[str, Any]) -> None:
        getattr(self._manager.hook, hook)(**given)

    def _told(self, error: BaseException, hook: str) -> str:
        if self._origin.road == _OWN:
            reason = str(error).splitlines()[0] if str(error) else type(error).__name__
            return f"{self._origin.plugin} stopped, the results are kept: {reason}"
        found = discovery.broken(self._origin, error)
        why = found.why
        where = found.where
        if not self._origin.file and (frames := traceback.extract_tb(error.__traceback__)):
            where = f"{Path(frames[-1].filename).name}:{frames[-1].lineno}"
        if isinstance(error, AblateError):
            why = str(error).splitlines()[0]
        return (
            f"plugin '{self._origin.plugin}' ({where}): hook {hook} failed and its hooks are not "
            f"called again in this study, the results are kept: {why}"
        )


class _Apart(_Member):
    """A listener in a thread of its own; it gets trials without their images."""

    wants_images = False

    def __init__(self, listener: Listener, complain: Callable[[str], None]) -> None:
        super().__init__(listener)
        outside = listener.plugin if isinstance(listener.plugin, Outside) else None
        self._jobs = Background(listener.origin.plugin, complain, outside)

    def call(self, hook: str, given: dict[str, Any]) -> str:
        """Put a call in the queue; with the last, wait until the queue is empty."""
        if isinstance(result := given.get("result"), TrialResult):
            given = given | {"result": result.light()}  # an outage must not fill the memory
        job = functools.partial(self._hear, hook, given) if hook in self._hooks else None
        if hook == hookspecs.STUDY_FINISHED:
            self._jobs.finish(job, hurry=given["status"] == "interrupted")
        elif job is not None:
            self._jobs.put(job)
        return ""


class _ApartPlugin(_Apart):
    """Somebody's plugin in a thread of its own: what it raises is told as in any other thread."""

    def __init__(self, listener: Listener, complain: Callable[[str], None]) -> None:
        super().__init__(listener, complain)
        self._complain = complain

    def _hear(self, hook: str, given: dict[str, Any]) -> None:
        if self._broken:
            return
        try:
            super()._hear(hook, given)
        except (Exception, SystemExit) as error:  # noqa: BLE001  listening must never cost results
            self._broken = True
            self._complain(self._told(error, hook))
