"""Name -> component, for every kind, with its origin. Knows plugins, but no method of its own."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from n2n_ablate.components import KINDS, watchdog
from n2n_ablate.components.parameters import Component, Parameter
from n2n_ablate.components.parameters import build as build_component
from n2n_ablate.components.parameters import parameters as parameters_of
from n2n_ablate.components.recipe import Recipe
from n2n_ablate.components.spec import ComponentSpec
from n2n_ablate.components.torch_state import changes, preserve_torch_state
from n2n_ablate.errors import AblateError, PluginError, UnknownComponentError, nearest
from n2n_ablate.registry import discovery, hookspecs
from n2n_ablate.registry.discovery import PACKAGE, Candidate, Origin
from n2n_ablate.registry.entry import Broken, Entry, broken, component_context, require_methods
from n2n_ablate.registry.host import Plugin, new_manager

_NAME = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")


class Registry:
    """All components of the plugins given, the installed ones included unless `installed=False`.

    Args:
        plugins: Plugins that are there already.
        installed: Load those that `discovery.find` finds.
        plugins_dir: A further folder of plugin files.
        local: In place of `./plugins`.
        local_if_needed: Load `./plugins` only when a name is asked for that nobody else registers.
        file: See `discovery.find`.
        loading: Called with the origin of each plugin before its code runs.

    Attributes:
        broken: Plugins that could not be loaded, with the reason.
        plugins: The others.
        host: Calls their hooks: `host.hook.point(point=...)`.
    """

    def __init__(
        self,
        *plugins: object,
        installed: bool = True,
        plugins_dir: Path | None = None,
        local: Path | None = None,
        local_if_needed: bool = False,
        file: Path | None = None,
        loading: Callable[[Origin], object] = lambda origin: None,
    ) -> None:
        self._entries: dict[tuple[str, str], Entry] = {}
        self._contested: dict[tuple[str, str], tuple[Entry, Entry]] = {}
        self._loading = loading
        self._marks: set[str] = set()
        self.broken: list[Broken] = []
        self.plugins: list[Plugin] = []
        self.host = new_manager()
        self._announces = local is None  # else they were announced where they come from
        local = local or (discovery.local_folder() if installed else None)
        self._later = local if local_if_needed else None
        at_once = None if local_if_needed else local
        candidates = discovery.find(plugins_dir, at_once, file) if installed else []
        self._load([*candidates, *map(discovery.given, plugins)])

    def __iter__(self) -> Iterator[Entry]:
        order = {kind: index for index, kind in enumerate(KINDS)}
        yield from sorted(self._entries.values(), key=lambda entry: (order[entry.kind], entry.name))

    @property
    def listeners(self) -> list[Plugin]:
        """Plugins that want to hear what happens in a study."""
        return [plugin for plugin in self.plugins if plugin.listens_to]

    @property
    def contested(self) -> list[str]:
        """One sentence per name that two plugins claim. Such a name cannot be used."""
        return [_contest(*both) for both in self._contested.values()]

    def claims(self, wanted: str) -> list[str]:
        """Return those sentences about this name, or about what comes from this origin."""
        return [
            _contest(*both)
            for (_, name), both in self._contested.items()
            if wanted in {name, *(str(entry.origin) for entry in both)}
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
        key = (kind, name)
        if self._later is not None and key not in self._entries and key not in self._contested:
            folder, self._later = self._later, None
            self._load(list(discovery.in_folder(folder, discovery.LOCAL)))
        if key in self._contested:
            raise PluginError(_contest(*self._contested[key]))
        if key not in self._entries:
            msg = f"no {kind} is called '{name}'. {nearest(name, self.names(kind))}"
            raise UnknownComponentError(msg + self.not_loaded)
        return self._entries[key]

    @property
    def not_loaded(self) -> str:
        """The end of a message that names the plugins that could not be loaded; empty if all were."""
        return f" Not loaded: {'; '.join(map(str, self.broken))}." if self.broken else ""

    def unknown(self, what: str, name: str, known: Iterable[str]) -> UnknownComponentError:
        """Return the error for a name that nobody knows; `what`: the sentence that says so."""
        hint = nearest(name, known).partition("Known:")[0]
        return UnknownComponentError(f"{what} {hint}See `n2n-ablate plugins`.{self.not_loaded}")

    def build(self, kind: str, name: str, given: Mapping[str, object]) -> Any:
        """Make a component with checked parameters.

        Raises:
            ParameterError: An unknown parameter or a wrong value.
            PluginError: The component's own code fails, or lacks what its kind has to have.
        """
        entry = self.get(kind, name)
        values = self._made(entry, given)
        with component_context(entry, "cannot be made"):
            made = build_component(entry.factory, values, str(entry))
            require_methods(entry, made)
        return made

    def entries(self, recipe: Recipe) -> dict[str, Entry]:
        """Return how the components of a recipe are registered, by kind."""
        return {kind: self.get(kind, spec.name) for kind, spec in recipe.specs.items()}

    def part(self, kind: str, component: object) -> ComponentSpec:
        """Return a component as data: by name and parameters.

        Args:
            kind: Its kind.
            component: The component, or what names it: a `ComponentSpec` or a name.
        """
        if isinstance(component, ComponentSpec | str):
            return component if isinstance(component, ComponentSpec) else ComponentSpec(component)
        for entry in self:
            if entry.kind == kind and entry.factory is type(component):
                return ComponentSpec(
                    entry.name,
                    {
                        parameter.name: self.data(parameter, getattr(component, parameter.name))
                        for parameter in entry.parameters
                    },
                )
        msg = (
            f"{component!r} is a parameter's default, but no plugin registers its class as a {kind}"
        )
        raise PluginError(msg)

    def data(self, parameter: Parameter, value: Any) -> Any:
        """Return a parameter's value with components as parts."""
        if not isinstance(parameter.domain, Component):
            return value
        inner = parameter.domain.kind
        if parameter.many:
            return tuple(self.part(inner, each) for each in value)
        return self.part(inner, value)

    def _made(self, entry: Entry, given: Mapping[str, object]) -> dict[str, object]:
        """Make the components among the parameters; the others stay as they are."""
        values = dict(given)
        for parameter in entry.parameters:
            if parameter.name in values and isinstance(parameter.domain, Component):
                kind = parameter.domain.kind
                value = parameter.checked(values[parameter.name], str(entry))
                made = tuple(
                    self._component(kind, each, entry)
                    for each in (value if parameter.many else (value,))
                )
                values[parameter.name] = made if parameter.many else made[0]
        return values

    def _component(self, kind: str, component: object, owner: Entry) -> object:
        if not isinstance(component, ComponentSpec | str):
            return component
        part = self.part(kind, component)
        try:
            return self.build(kind, part.name, part.parameters)
        except AblateError as error:
            msg = f"in {owner}: {error}"
            raise type(error)(msg) from error

    def _load(self, candidates: Sequence[Candidate]) -> None:
        """Load plugins, and take the components of those in which nothing fails."""
        if self._announces:
            discovery.announce(candidates)
        for candidate in candidates:
            if not candidate.marks & self._marks:
                self._marks |= candidate.marks
                self._load_one(candidate)

    def _load_one(self, candidate: Candidate) -> None:
        """Load a plugin; if it fails, or changes what all share, it is broken."""
        origin, entries = candidate.origin, list[Entry]()

        def register(kind: str, name: object, factory: Callable[..., Any]) -> None:
            entries.append(_checked(kind, name, factory, origin))

        registers: dict[str, Callable[..., object]] = {
            hook: partial(register, kind) for kind, hook in hookspecs.HOOK_OF.items()
        }
        registers[hookspecs.IMAGE_SETS] = _add_image_sets
        seconds = (
            0.0 if candidate.ours else watchdog.import_limit()
        )  # ours may wait for a slow disk
        try:
            with (
                watchdog.time_limit(seconds, f"plugin '{origin.plugin}'"),
                preserve_torch_state() as changed,
            ):
                self._loading(origin)
                plugin = Plugin(origin, candidate.load())
                plugin.register(registers)
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # noqa: BLE001  a plugin may even call sys.exit
            self.broken.append(broken(origin, error))
            return
        if changed:
            why = f"{changes(changed)}, when it is loaded"
            self.broken.append(Broken(origin, origin.file, why))
            return
        self.host.register(plugin)
        self.plugins.append(plugin)
        for entry in entries:
            self.add(entry)

    def add(self, entry: Entry) -> None:
        """Take a component in; of two with one name neither can be used."""
        key = (entry.kind, entry.name)
        if key in self._contested:
            return
        if taken := self._entries.pop(key, None):
            # Which of the two a study would get must not depend on the order of installation.
            self._contested[key] = (taken, entry)
        else:
            self._entries[key] = entry


def _add_image_sets(path: Path) -> None:
    from n2n_ablate.images.named_sets import (
        add_file,
    )  # with torch, which opening a study does not need

    add_file(path)


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
        f"{first} is registered twice, by {_whence(first)} and by {_whence(second)}. "
        "Remove one of them or rename one of the components."
    )


def _whence(entry: Entry) -> str:
    line = entry.place()
    return f"'{entry.origin}' ({line})" if entry.origin.source == PACKAGE else f"'{line}'"
