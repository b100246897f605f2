"""Says which component failed, in which file and line."""

from __future__ import annotations

from n2n_ablate.components import OPTIONAL, declared
from n2n_ablate.components.timeout import OverdueError
from n2n_ablate.errors import PLUGIN_EXCEPTIONS, PluginError
from n2n_ablate.registry.conformance import source_line
from n2n_ablate.registry.discovery import broken
from n2n_ablate.registry.names import Entry


def blamed(
    entry: Entry, seen: str, error: BaseException | None = None, method: str = ""
) -> PluginError:
    """Return the error that names a component, what was seen of it, and where.

    Args:
        entry: The component.
        seen: What it did, as a sentence whose subject it is.
        error: What its code raised, if it did: its traceback knows the line.
        method: What to point at if no line is known; without it the class.
    """
    return PluginError(f"{entry.kind} '{entry.name}' {seen} ({place_of(entry, error, method)})")


def require_readable(entry: Entry, component: object) -> None:
    """Read everything that a component may have beside what its kind has to have.

    Raises:
        PluginError: The code of something that it has fails.
    """
    for name in OPTIONAL[entry.kind]:
        try:
            declared(component, name)
        except PLUGIN_EXCEPTIONS as error:
            seen = f"has '{name}', but reading it fails: {error!r}"
            raise blamed(entry, seen, error, name) from error


def place_of(entry: Entry, error: BaseException | None = None, method: str = "") -> str:
    """Return file and line at which a component's code failed, or else where it is defined."""
    place = broken(entry.origin, error).where if error is not None else ""
    if place.rpartition(":")[2].isdigit():
        return place
    named = getattr(entry.factory, method, None) if method else None
    return source_line(named if callable(named) else entry.factory, entry.origin)


def told(error: BaseException) -> str:
    """Return what went wrong in words that follow a colon."""
    return f"it {error}" if isinstance(error, OverdueError) else repr(error)
