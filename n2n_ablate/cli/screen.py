"""Where output goes: results to stdout, everything said about them to stderr."""

from __future__ import annotations

from rich.console import Console

from n2n_ablate.cli import stdout


def results() -> Console:
    """Return the console for what the command was asked for."""
    return Console(file=stdout.stream())


def messages() -> Console:
    """Return the console for progress, notes and errors."""
    return Console(stderr=True)
