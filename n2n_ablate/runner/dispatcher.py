"""Calls the life-cycle hooks of everybody who listens to a study: console, tracking, plugins."""

from __future__ import annotations

import functools
import threading
import traceback
from collections.abc import Callable, Container, Sequence
from pathlib import Path
from typing import Any

from n2n_ablate.errors import AblateError, StoreError, StoreUnavailableError
from n2n_ablate.records import FitResult, Invocation, NoisySample, Point, StudyTrials, TrialResult
from n2n_ablate.registry import Plugin, Registry, hookspecs
from n2n_ablate.registry.discovery import Origin
from n2n_ablate.registry.entry import broken
from n2n_ablate.registry.host import new_manager, silent
from n2n_ablate.runner.background import Background, Outside
from n2n_ablate.runner.run_files import FilesOfStudy, FilesOfTrial, RunFiles
from n2n_ablate.study import Plan, Trial

_PROGRAM = "own"


class HookDispatcher:
    """Everybody who listens to a study. See `hookspecs` for what each hook means.

    Hooks are called in pluggy's order: `tryfirst` before the others before `trylast`, and among
    equals the last one added first. No listener is called twice at the same time. One that raises
    is named once and hears no more of this study; only Ctrl-C gets through.
    """

    def __init__(self, registry: Registry | None = None) -> None:
        self._host = new_manager() if registry is None else registry.host
        self._files = RunFiles(registry)
        self._members: list[_Member] = []
        for plugin in self._host.get_plugins():  # of an earlier study
            plugin.call = silent
            if plugin.origin.source == _PROGRAM:
                self._host.unregister(plugin)

    def add(self, plugin: Plugin, *, replaying: bool = False) -> None:
        """Add a plugin of the host.

        `plugin`: one with `background = True` is called in another thread, so that training never waits for
        it; it gets trials without their images. Whoever calls `study_finished` waits until it has done
        everything, see `Background`. `replaying`: nothing is trained: call it in this thread, and raise what
        it raises.
        """
        self._members.append(_Member(plugin, self.note, replaying=replaying))

    def join(self, listener: object, name: str, *, replaying: bool = False) -> None:
        """Add a listener of the program: its methods are marked with `@hookimpl` like anybody's.

        `replaying`: see `add`.
        """
        plugin = Plugin(Origin(name, _PROGRAM), listener)
        self._host.register(plugin)
        self.add(plugin, replaying=replaying)

    @property
    def wants_images(self) -> bool:
        """Say whether anybody hears of finished trials with their images."""
        return any(member.wants_images for member in self._members)

    @property
    def incomplete(self) -> list[str]:
        """Names of our listeners that have left out some of their work; known at the end."""
        return [member.plugin.origin.plugin for member in self._members if member.incomplete]

    def study_started(
        self,
        plan: Plan,
        invocation: Invocation,
        fits: int,
        steps: int,
        ended: Container[str] = (),
        *,
        replayed: bool = False,
    ) -> None:
        """See `hookspecs.study_started`."""
        size = {"fits": fits, "steps": steps}
        about = {"plan": plan, "invocation": invocation, "ended": ended, "replayed": replayed}
        self._tell("study_started", **about, **size, say=self.note)

    def trial_started(self, trial: Trial, fits: int, cached: int) -> None:
        """See `hookspecs.trial_started`."""
        self._tell("trial_started", trial=trial, fits=fits, cached=cached)

    def point(self, point: Point) -> None:
        """See `hookspecs.point`. May be called from any thread."""
        self._tell("point", point=point)

    def fit_finished(self, result: FitResult) -> None:
        """See `hookspecs.fit_finished`."""
        self._tell("fit_finished", result=result)

    def trial_finished(
        self, result: TrialResult, so_far: StudyTrials, samples: Sequence[NoisySample]
    ) -> None:
        """See `hookspecs.trial_finished`."""
        files = FilesOfTrial(self._files, result, so_far, samples)
        self._tell("trial_finished", result=result, so_far=so_far, samples=samples, files=files)

    def interim_analysis_finished(self, so_far: StudyTrials, images: int) -> None:
        """See `hookspecs.interim_analysis_finished`."""
        self._tell("interim_analysis_finished", so_far=so_far, images=images)

    def confirmation_started(self, plan: Plan, fits: int, steps: int) -> None:
        """See `hookspecs.confirmation_started`."""
        self._tell("confirmation_started", plan=plan, fits=fits, steps=steps)

    def study_finished(self, result: StudyTrials, status: str) -> None:
        """See `hookspecs.study_finished`. Returns when every listener has done its work."""
        files = FilesOfStudy(self._files, result)
        self._tell(hookspecs.STUDY_FINISHED, result=result, status=status, files=files)
        for member in self._members:
            member.finish(status)

    def note(self, message: str) -> None:
        """See `hookspecs.note`. May be called from any thread."""
        self._tell("note", message=message)

    def _tell(self, hook: str, **given: object) -> None:
        getattr(self._host.hook, hook)(**given)


class _Member:
    """One listener: never called twice at the same time, and in another thread if it asks for one."""

    def __init__(self, plugin: Plugin, complain: Callable[[str], None], *, replaying: bool) -> None:
        self.plugin = plugin
        self._replaying = replaying
        self._apart = getattr(plugin.implementation, "background", False) is True
        self._outside = (
            plugin.implementation if isinstance(plugin.implementation, Outside) else None
        )
        self._complain = complain
        self._ours = plugin.origin.source == _PROGRAM
        self._lock = threading.RLock()  # a hook may itself give rise to a note
        self._broken = False
        self._jobs: Background | None = None
        self._last: Callable[[], None] | None = None
        plugin.call = self._call
        if self._apart and not replaying:
            self._jobs = Background(plugin.origin.plugin, complain, self._outside)
            plugin.call = self._queue

    @property
    def wants_images(self) -> bool:
        """Say whether it is somebody's plugin, and hears of finished trials as they end."""
        return not self._ours and not self._apart and "trial_finished" in self.plugin.functions

    @property
    def incomplete(self) -> bool:
        """Say whether some of the work was left out; known after `finish`."""
        return self._jobs is not None and self._jobs.incomplete

    def finish(self, status: str) -> None:
        """Wait until the queue is empty, but not for long after a study that was stopped."""
        if self._jobs is not None:
            self._jobs.finish(self._last, hurry=status == "interrupted")

    def _call(self, hook: str, function: Callable[..., object], given: dict[str, Any]) -> None:
        """Call a hook; what it raises is said and costs no more than the plugin's other hooks."""
        with self._lock:
            if self._broken:
                return
            try:
                function(**given)
                return
            except KeyboardInterrupt:
                raise
            except BaseException as error:  # listening must never cost results
                away = isinstance(error, StoreUnavailableError) and self._jobs is not None
                if away or (self._replaying and isinstance(error, AblateError)):
                    raise
                if self._replaying:
                    raise StoreError(self._problem(error, hook)) from error
                self._broken = True
                problem = self._problem(error, hook)
        self._complain(problem)

    def _queue(self, hook: str, function: Callable[..., object], given: dict[str, Any]) -> None:
        """Have a hook called later; the last waits for `finish`."""
        assert self._jobs is not None
        if isinstance(result := given.get("result"), TrialResult):
            given = given | {"result": result.light()}  # an outage must not fill the memory
        job: Callable[[], Any] = functools.partial(self._call, hook, function, given)
        if self._outside:  # `Background` says what will write the rest
            job = functools.partial(function, **given)
        if hook == hookspecs.STUDY_FINISHED:
            self._last = job
        else:
            self._jobs.put(job)

    def _problem(self, error: BaseException, hook: str) -> str:
        origin = self.plugin.origin
        if self._ours:
            reason = str(error).splitlines()[0] if str(error) else type(error).__name__
            return f"{origin.plugin} stopped, the results are saved: {reason}"
        failure = broken(origin, error)
        where = failure.where
        if not origin.file and (frames := traceback.extract_tb(error.__traceback__)):
            where = f"{Path(frames[-1].filename).name}:{frames[-1].lineno}"
        why = str(error).splitlines()[0] if isinstance(error, AblateError) else failure.why
        return (
            f"plugin '{origin.plugin}' ({where}): hook {hook} failed and its hooks are not called "
            f"again in this study, the results are saved: {why}"
        )
