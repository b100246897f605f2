"""Calls the life-cycle hooks of everybody who listens to a study: console, tracking, plugins."""

from __future__ import annotations

import functools
import threading
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from n2n_ablate.errors import AblateError
from n2n_ablate.records import FitResult, Invocation, NoisySample, Point, StudyResult, TrialResult
from n2n_ablate.registry import Plugin, PluginHost, hookspecs
from n2n_ablate.registry.discovery import Origin
from n2n_ablate.registry.failures import broken
from n2n_ablate.registry.host import silent
from n2n_ablate.runner.background import Background, Outside
from n2n_ablate.study import Plan, Trial

_OWN = "own"


class HookDispatcher:
    """Everybody who listens to a study. See `hookspecs` for what each hook means.

    Hooks are called in pluggy's order: `tryfirst` before the others before `trylast`, and among
    equals the last one added first. No listener is called twice at the same time. One that raises
    is named once and hears no more of this study; only Ctrl-C gets through.

    Args:
        host: Holds the plugins that listen.
    """

    def __init__(self, host: PluginHost | None = None) -> None:
        self._host = PluginHost() if host is None else host
        self._members: list[_Member] = []
        for plugin in self._host.plugins:  # of an earlier study
            plugin.call = silent
            if plugin.origin.source == _OWN:
                self._host.remove(plugin)

    def add(self, plugin: Plugin) -> None:
        """Add a plugin of the host; one with `background = True` is called in another thread."""
        apart = getattr(plugin.implementation, "background", False) is True
        self._members.append((_ApartPlugin if apart else _Member)(plugin, self.note))

    def join(self, listener: object, name: str, *, background: bool = False) -> None:
        """Add a listener of the program: its methods are marked with `@hookimpl` like anybody's.

        Args:
            listener: What has the hooks.
            name: What it is called when it fails.
            background: Run it in another thread, so that training never waits for it; it gets
                trials without their images. Whoever calls `study_finished` waits until it has done
                everything, see `Background`.
        """
        plugin = Plugin(Origin(name, _OWN), listener, silent)
        self._host.add(plugin)
        self._members.append((_Apart if background else _Member)(plugin, self.note))

    @property
    def wants_images(self) -> bool:
        """Say whether anybody hears of finished trials with their images."""
        return any(member.wants_images for member in self._members)

    @property
    def incomplete(self) -> list[str]:
        """Names of our listeners that have left out some of their work; known at the end."""
        return [member.plugin.origin.plugin for member in self._members if member.incomplete]

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
        self._tell(hookspecs.STUDY_FINISHED, result=result, status=status)
        for member in self._members:
            member.finish(status)

    @property
    def failed(self) -> bool:
        """Whether a listener has raised; it hears nothing more."""
        return any(member.failed for member in self._members)

    def note(self, message: str) -> None:
        """See `hookspecs.note`. May be called from any thread."""
        self._tell("note", message=message)

    def _tell(self, hook: str, **given: object) -> None:
        getattr(self._host.hook, hook)(**given)


class _Member:
    """One listener, with a lock: never called twice at the same time."""

    incomplete = False

    @property
    def failed(self) -> bool:
        """Whether it has raised."""
        return self._broken

    def __init__(self, plugin: Plugin, complain: Callable[[str], None]) -> None:
        self.plugin = plugin
        self._complain = complain
        self._lock = threading.RLock()  # a hook may itself give rise to a note
        self._broken = False
        plugin.call = self.call

    @property
    def wants_images(self) -> bool:
        """Say whether it is somebody's plugin, and hears of finished trials as they end."""
        return self.plugin.origin.source != _OWN and "trial_finished" in self.plugin.hooks

    def call(self, hook: str, function: Callable[..., object], given: dict[str, Any]) -> None:
        """Call a hook; what it raises is said and costs no more than the plugin's other hooks."""
        with self._lock:
            if self._broken:
                return
            try:
                function(**given)
                return
            except KeyboardInterrupt:
                raise
            except BaseException as error:  # noqa: BLE001  listening must never cost results
                self._broken = True
                problem = self._problem(error, hook)
        self._complain(problem)

    def finish(self, status: str) -> None:
        """Return when everything is done that was asked for."""

    def _problem(self, error: BaseException, hook: str) -> str:
        origin = self.plugin.origin
        if origin.source == _OWN:
            reason = str(error).splitlines()[0] if str(error) else type(error).__name__
            return f"{origin.plugin} stopped, the results are kept: {reason}"
        failure = broken(origin, error)
        where = failure.where
        if not origin.file and (frames := traceback.extract_tb(error.__traceback__)):
            where = f"{Path(frames[-1].filename).name}:{frames[-1].lineno}"
        why = str(error).splitlines()[0] if isinstance(error, AblateError) else failure.why
        return (
            f"plugin '{origin.plugin}' ({where}): hook {hook} failed and its hooks are not called "
            f"again in this study, the results are kept: {why}"
        )


class _Apart(_Member):
    """A listener in another thread; it gets trials without their images."""

    wants_images = False

    def __init__(self, plugin: Plugin, complain: Callable[[str], None]) -> None:
        super().__init__(plugin, complain)
        outside = plugin.implementation if isinstance(plugin.implementation, Outside) else None
        self._jobs = Background(plugin.origin.plugin, complain, outside)
        self._last: Callable[[], None] | None = None

    def call(self, hook: str, function: Callable[..., object], given: dict[str, Any]) -> None:
        """Put a call in the queue; the last waits for `finish`."""
        if isinstance(result := given.get("result"), TrialResult):
            given = given | {"result": result.light()}  # an outage must not fill the memory
        self._last = functools.partial(self._hear, hook, function, given)
        if hook != hookspecs.STUDY_FINISHED:
            self._jobs.put(self._last)

    @property
    def incomplete(self) -> bool:  # type: ignore[override]
        """Say whether some of the work was left out; known after `finish`."""
        return self._jobs.incomplete

    def finish(self, status: str) -> None:
        """Wait until the queue is empty, but not for long after a study that was stopped."""
        last = self._last if hookspecs.STUDY_FINISHED in self.plugin.hooks else None
        self._jobs.finish(last, hurry=status == "interrupted")

    def _hear(self, hook: str, function: Callable[..., object], given: dict[str, Any]) -> None:
        function(**given)


class _ApartPlugin(_Apart):
    """Somebody's plugin in another thread: what it raises is reported as from any other."""

    def _hear(self, hook: str, function: Callable[..., object], given: dict[str, Any]) -> None:
        _Member.call(self, hook, function, given)
