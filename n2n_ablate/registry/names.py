"""Name -> component, for every kind, with its origin. Knows plugins, but no method of its own."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from n2n_ablate.components import KINDS, torch_state
from n2n_ablate.components.parameters import Component, Parameter
from n2n_ablate.components.parameters import build as build_component
from n2n_ablate.components.parameters import parameters as parameters_of
from n2n_ablate.components.spec import ComponentSpec
from n2n_ablate.errors import (
    PLUGIN_EXCEPTIONS,
    AblateError,
    PluginError,
    UnknownComponentError,
    nearest,
)
from n2n_ablate.registry import discovery, hookspecs
from n2n_ablate.registry.conformance import require_methods, source_line
from n2n_ablate.registry.discovery import Broken, Origin
from n2n_ablate.registry.managed import managed

_NAME = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")


@dataclass(frozen=True)
class Entry:
    """One registered component."""

    kind: str
    name: str
    factory: Callable[..., Any]
    origin: Origin

    @property
    def summary(self) -> str:
        """First line of the docstring: what a user reads in the list."""
        lines = (getattr(self.factory, "__doc__", None) or "").strip().splitlines()
        return lines[0] if lines else ""

    @cached_property  # every fit asks for them, and reading annotations is slow
    def parameters(self) -> tuple[Parameter, ...]:
        """The component's parameters, in order."""
        return parameters_of(self.factory)


@dataclass(frozen=True, eq=False)
class Listener:
    """A plugin that implements life-cycle hooks: itself, where it came from, and which."""

    origin: Origin
    plugin: object
    hooks: tuple[str, ...]


class Registry:
    """All components of the plugins given, the installed ones included unless `installed=False`.

    Args:
        plugins: Plugins that are there already.
        installed: Load those that `discovery.find` finds.
        plugins_dir: A further folder of plugin files.
        local: In place of `./plugins`.
        file: See `discovery.find`.
        loading: Told where each plugin comes from, before it is loaded.

    Attributes:
        broken: Plugins that could not be loaded, with the reason.
        listeners: Plugins that want to hear what happens in a study.
    """

    def __init__(
        self,
        *plugins: object,
        installed: bool = True,
        plugins_dir: Path | None = None,
        local: Path = Path(discovery.LOCAL_FOLDER),
        file: Path | None = None,
        loading: Callable[[Origin], object] = lambda origin: None,
    ) -> None:
        self._entries: dict[tuple[str, str], Entry] = {}
        self._contested: dict[tuple[str, str], tuple[Entry, Entry]] = {}
        self.broken: list[Broken] = []
        self.listeners: list[Listener] = []
        for found in discovery.find(plugins_dir, local, file) if installed else ():
            loading(found.origin)
            self._load(found.origin, found.load)
        for plugin in plugins:
            name = getattr(plugin, "__name__", type(plugin).__name__)
            self._load(Origin(name, "given"), lambda plugin=plugin: plugin)  # type: ignore[misc]

    def __iter__(self) -> Iterator[Entry]:
        order = {kind: place for place, kind in enumerate(KINDS)}
        yield from sorted(self._entries.values(), key=lambda item: (order[item.kind], item.name))

    @property
    def contested(self) -> list[str]:
        """One sentence per name that two plugins claim. Such a name cannot be used."""
        return [_contest(first, second) for first, second in self._contested.values()]

    def add(self, entry: Entry) -> None:
        """Take a component over from another registry."""
        self._claim(entry)

    def claims(self, name: str = "", origin: str = "") -> list[str]:
        """Return the sentence of every contested name that is this one, or claimed by this origin."""
        return [
            _contest(*both)
            for (_, own), both in self._contested.items()
            if name == own or origin in {str(entry.origin) for entry in both}
        ]

    def names(self, kind: str) -> list[str]:
        """Return the names registered for a kind."""
        return [entry.name for entry in self if entry.kind == kind]

    def get(self, kind: str, name: str) -> Entry:
        """Return a component.

        Raises:
            PluginError: Two plugins claim the name.
            UnknownComponentError: Nobody registers it; the message has the nearest names and, as
                the component may be in one of them, the plugins that could not be loaded.
        """
        if (kind, name) in self._contested:
            raise PluginError(_contest(*self._contested[kind, name]))
        if (kind, name) not in self._entries:
            msg = f"no {kind} is called '{name}'. {nearest(name, self.names(kind))}"
            if self.broken:
                msg += f" Not loaded: {'; '.join(map(str, self.broken))}."
            raise UnknownComponentError(msg)
        return self._entries[kind, name]

    def build(self, kind: str, name: str, given: Mapping[str, object]) -> Any:
        """Make a component with checked parameters.

        Raises:
            UnknownComponentError: See `get`.
            ParameterError: An unknown parameter or a wrong value.
            PluginError: The component's own code fails, or lacks what its kind has to have.
        """
        entry = self.get(kind, name)
        owner = f"{kind} '{name}'"
        try:
            with torch_state.kept() as changed:
                made = build_component(entry.factory, self._made(entry, given, owner), owner)
            if changed:
                place = source_line(entry.factory, entry.origin)
                msg = f"{owner} {torch_state.changes(changed)}, when it is made ({place})"
                raise PluginError(msg)
            require_methods(kind, made, owner, entry.origin)
            return made
        except AblateError:
            raise
        except PLUGIN_EXCEPTIONS as error:
            found = discovery.broken(entry.origin, error)
            msg = f"{owner} cannot be made: {found.why} ({found.where})"
            raise PluginError(msg) from error

    def part(self, kind: str, item: object) -> ComponentSpec:
        """Return a component as data: by name and parameters.

        Args:
            kind: Its kind.
            item: The component, or what names it: a `ComponentSpec` or a name.

        Raises:
            PluginError: Nobody registers the component's class.
        """
        if isinstance(item, ComponentSpec | str):
            return item if isinstance(item, ComponentSpec) else ComponentSpec(item)
        for entry in self:
            if entry.kind == kind and entry.factory is type(item):
                return ComponentSpec(
                    entry.name,
                    {own.name: self.data(own, getattr(item, own.name)) for own in entry.parameters},
                )
        msg = f"{item!r} is a parameter's default, but no plugin registers its class as a {kind}"
        raise PluginError(msg)

    def data(self, parameter: Parameter, value: Any) -> Any:
        """Return a parameter's value with components as parts.

        Raises:
            PluginError: See `part`.
        """
        if not isinstance(parameter.domain, Component):
            return value
        inner = parameter.domain.kind
        if parameter.many:
            return tuple(self.part(inner, item) for item in value)
        return self.part(inner, value)

    def _made(self, entry: Entry, given: Mapping[str, object], owner: str) -> dict[str, object]:
        """Make the components among the parameters; the others stay as they are."""
        values = dict(given)
        for parameter in entry.parameters:
            if parameter.name in values and isinstance(parameter.domain, Component):
                value = parameter.checked(values[parameter.name], owner)
                items = value if parameter.many else (value,)
                made = tuple(self._component(parameter.domain.kind, item, owner) for item in items)
                values[parameter.name] = made if parameter.many else made[0]
        return values

    def _component(self, kind: str, item: object, owner: str) -> object:
        if not isinstance(item, ComponentSpec | str):
            return item
        part = self.part(kind, item)
        try:
            return self.build(kind, part.name, part.parameters)
        except AblateError as error:
            msg = f"in {owner}: {error}"
            raise type(error)(msg) from error

    def _load(self, origin: Origin, load: Callable[[], object]) -> None:
        collected: list[Entry] = []
        try:
            plugin, hooks = _loaded(load, origin, collected)
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # noqa: BLE001  a plugin may even call sys.exit
            self.broken.append(discovery.broken(origin, error))
            return
        for entry in collected:
            self._claim(entry)
        if hooks:
            self.listeners.append(Listener(origin, plugin, hooks))

    def _claim(self, entry: Entry) -> None:
        key = (entry.kind, entry.name)
        if key in self._contested:
            return
        if taken := self._entries.pop(key, None):
            # Which of the two a study would get must not depend on the order of installation.
            self._contested[key] = (taken, entry)
        else:
            self._entries[key] = entry


def _loaded(
    load: Callable[[], object], origin: Origin, into: list[Entry]
) -> tuple[object, tuple[str, ...]]:
    """Load a plugin and gather its components; return it and the life-cycle hooks that it implements."""
    with torch_state.kept() as changed:
        plugin = load()
        hooks = _collect(plugin, origin, into)
    if changed:
        msg = f"{torch_state.changes(changed)}, when it is loaded"
        raise PluginError(msg)
    return plugin, hooks


def _collect(plugin: object, origin: Origin, into: list[Entry]) -> tuple[str, ...]:
    """Gather the components of a plugin; return the life-cycle hooks that it implements."""
    manager = managed(plugin, origin.plugin)
    for kind, hook in hookspecs.HOOK_OF.items():

        def register(name: str, factory: Callable[..., Any], kind: str = kind) -> None:
            into.append(_checked(kind, name, factory, origin))

        getattr(manager.hook, hook)(register=register)
    own = {caller.name for caller in manager.get_hookcallers(plugin) or ()}
    return tuple(name for name in hookspecs.LIFE_CYCLE if name in own)


def _checked(kind: str, name: object, factory: Callable[..., Any], origin: Origin) -> Entry:
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        msg = f"{kind} name {name!r} must be lowercase words joined by hyphens, e.g. 'row-pair'"
        raise PluginError(msg)
    if not callable(factory):
        msg = f"{kind} '{name}' must be registered with a class or function, got {factory!r}"
        raise PluginError(msg)
    for parameter in parameters_of(factory):
        domain = parameter.domain
        if isinstance(domain, Component) and domain.kind not in KINDS:
            msg = (
                f"parameter '{parameter.name}' of {kind} '{name}' is a component of the kind "
                f"'{domain.kind}', which there is not. {nearest(domain.kind, KINDS)}"
            )
            raise PluginError(msg)
    return Entry(kind, name, factory, origin)


def _contest(first: Entry, second: Entry) -> str:
    return (
        f"{first.kind} '{first.name}' is registered twice, by {_whence(first)} and by "
        f"{_whence(second)}. Remove one of them or rename one of the components."
    )


def _whence(entry: Entry) -> str:
    place = source_line(entry.factory, entry.origin)
    return f"'{entry.origin}' ({place})" if entry.origin.road == "package" else f"'{place}'"
