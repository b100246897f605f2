"""Checks components in a separate process, so that one that hangs or crashes takes nothing down.

    python -c 'from n2n_ablate.testing.child import main; main()' '{"target": "my-pair", ...}'

Writes one JSON object per line to stdout. What a plugin prints goes to stderr.
"""

from __future__ import annotations

import faulthandler
import json
import os
import re
import sys
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch

from n2n_ablate.components import watchdog
from n2n_ablate.errors import AblateError, PluginError
from n2n_ablate.registry import Entry, Registry
from n2n_ablate.registry.discovery import Origin
from n2n_ablate.registry.entry import require_readable
from n2n_ablate.testing.contract import name_of, settings_of
from n2n_ablate.testing.contracts import CONTRACTS, broken_promise, case_of
from n2n_ablate.testing.promise import NotTried, promises_of

MADE = "It can be made with its defaults and at both ends of every range, and what it declares can be read."
"""What is promised of every component before the promises of its kind."""


def main() -> None:
    """Check what the first argument says and report what comes out."""
    asked = json.loads(sys.argv[1])
    lines = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # a plugin that prints must not be taken for a finding

    def tell(**event: Any) -> None:
        lines.write(json.dumps(event) + "\n")
        lines.flush()

    def loading(origin: Origin) -> None:
        tell(event="loading", plugin=origin.plugin, file=origin.file)
        _wind(asked["limit"])

    threading.Thread(target=_excuse_imports, args=(asked["limit"],), daemon=True).start()
    faulthandler.enable()  # what ends the process by a signal leaves its line on stderr
    torch.set_num_threads(1)
    _wind(asked["limit"])
    try:
        entries = chosen(asked["target"], asked["plugins_dir"], loading)
        tell(event="found", count=len(entries))
        for entry in entries[asked["skip"] :]:
            check(entry, asked["limit"], tell)
        tell(event="end")
    except AblateError as error:
        tell(event="error", message=str(error))
    faulthandler.cancel_dump_traceback_later()


def chosen(
    target: str,
    plugins_dir: str | None = None,
    loading: Callable[[Origin], object] = lambda origin: None,
) -> list[Entry]:
    """Return the components that a name, a file or a distribution stands for; see `Registry`.

    Raises:
        PluginError: A plugin among them cannot be loaded, or claims a name that is taken.
        UnknownComponentError: It is none of the three.
    """
    path = Path(target)
    is_file = path.suffix == ".py"
    if is_file and not path.is_file():
        msg = f"there is no file '{target}'. Give the name of a component, a plugin file or a package."
        raise PluginError(msg)
    folder = Path(plugins_dir) if plugins_dir else None
    registry = Registry(plugins_dir=folder, file=path if is_file else None, loading=loading)

    def is_of_target(origin: Origin) -> bool:
        if is_file:
            return bool(origin.file) and Path(origin.file).resolve() == path.resolve()
        return bool(origin.distribution) and _plain(origin.distribution) == _plain(target)

    entries = [] if is_file else [entry for entry in registry if entry.name == target]
    claims = [] if is_file else registry.claims(target)
    if not entries and not claims:
        entries = [entry for entry in registry if is_of_target(entry.origin)]
        if wrong := [str(each) for each in registry.broken if is_of_target(each.origin)]:
            raise PluginError("; ".join(wrong))
        claims = registry.claims(target) if is_file else []
    if claims:
        raise PluginError(" ".join(claims))
    if not entries:
        hooks = [each.listens_to for each in registry.listeners if is_of_target(each.origin)]
        raise _nothing_to_check(target, registry, hooks)
    return entries


def _nothing_to_check(
    target: str, registry: Registry, hooks: Sequence[Sequence[str]]
) -> AblateError:
    """Return the error that says why a target has no component; `hooks` are those it listens to."""
    if hooks:
        heard = ", ".join(hook for each in hooks for hook in each)
        msg = f"'{target}' registers no component: it listens to {heard}, so there is nothing to check"
        return PluginError(msg)
    if Path(target).suffix == ".py":
        msg = f"'{target}' registers nothing that an installed plugin does not register already"
        return PluginError(msg)
    known = {entry.name for entry in registry} | {entry.origin.distribution for entry in registry}
    what = f"no component, file or package is called '{target}'."
    return registry.unknown(what, target, known - {""})


def check(entry: Entry, limit: float, tell: Callable[..., None]) -> None:
    """Try every promise of a component at all of its settings and report what comes out."""
    settings = list(settings_of(entry.factory))
    labels = [name_of("", setting)[1:-1] or "defaults" for setting in settings]
    promises = {
        promise.name.removeprefix("test_"): promise
        for promise in promises_of(CONTRACTS[entry.kind])
    }
    sentences = {"made": MADE, **{name: each.sentence for name, each in promises.items()}}
    tell(
        event="component",
        kind=entry.kind,
        name=entry.name,
        origin=str(entry.origin),
        file=entry.origin.file,
        settings=labels,
        promises=[{"name": name, "sentence": text} for name, text in sentences.items()],
    )
    tell(event="promise", name="made", setting="")
    _wind(limit)
    made, broken = _made(entry, dict(zip(labels, settings, strict=True)))
    tell(event="outcome", name="made", broken=broken)
    cases = {label: case_of(entry.kind, component) for label, component in made.items()}
    for name, promise in promises.items() if made else ():
        broken, untried = [], ""
        for label, case in cases.items():
            tell(event="promise", name=name, setting=label)
            _wind(limit)
            try:
                if problem := broken_promise(case, promise):
                    broken.append(_problem(label, problem.problem, problem.where))
            except NotTried as reason:
                untried = str(reason)
        tell(event="outcome", name=name, broken=broken, untried=untried)


def _made(
    entry: Entry, settings: dict[str, dict[str, Any]]
) -> tuple[dict[str, Any], list[dict[str, str]]]:
    """Return the component at each setting, and what keeps it from being made at the others."""
    registry = Registry(installed=False)
    registry.add(entry)
    made, broken = {}, []
    for label, setting in settings.items():
        try:
            component = registry.build(entry.kind, entry.name, setting)
            require_readable(entry, component)
            made[label] = component
        except AblateError as error:
            broken.append(_problem(label, str(error)))
    return made, broken


def _problem(setting: str, problem: str, where: str = "") -> dict[str, str]:
    return {"setting": setting, "problem": problem, "where": where}


def _wind(limit: float) -> None:
    # Kept by a thread that needs no lock of Python's: it fires even in a loop of C code.
    faulthandler.dump_traceback_later(limit, exit=True)


def _excuse_imports(limit: float) -> None:
    """Wind the clock again while something is imported: that is not what is checked."""
    left, pause = watchdog.import_limit(), min(1.0, limit / 4)
    main_thread = threading.main_thread().ident or 0
    while left > 0:
        time.sleep(pause)
        if watchdog.importing(main_thread):
            left -= pause
            _wind(limit)


def _plain(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()
