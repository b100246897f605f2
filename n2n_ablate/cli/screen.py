"""Where output goes: results to stdout, everything said about them to stderr."""

from __future__ import annotations

from rich.console import Console


def results() -> Console:
    """Return the console for what the command was asked for."""
    return Console()


def messages() -> Console:
    """Return the console for progress, notes and errors."""
    return Console(stderr=True)
