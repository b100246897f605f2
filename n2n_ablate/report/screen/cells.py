"""What tables of differences share: names that break where they may, verdicts and how to read them."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Collection

from rich.console import Console, ConsoleOptions, RenderResult
from rich.measure import Measurement
from rich.text import Text

from n2n_ablate.stats import TWICE_THE_IMAGES, UNDECIDED, Account

_STYLE = {
    "better": "green",
    "worse": "red",
    "equivalent": "cyan",
    UNDECIDED: "dim",
    "above the sum": "green",
    "below the sum": "red",
    "additive": "cyan",
}
_UNCLEAR = "unclear"  # the word of sentences is too wide for a column


class Name:
    """A trial's name. A word too long for its column breaks behind . _ - or = where it can."""

    def __init__(self, text: str) -> None:
        self.text = text

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Yield the lines for the width there is."""
        yield Text("\n".join(self._lines(options.max_width)))

    def __rich_measure__(self, console: Console, options: ConsoleOptions) -> Measurement:
        """Return the width of the longest piece and that of the whole."""
        pieces = Text("\n".join(self._lines(1, break_long_words=False)))
        return Measurement(
            Measurement.get(console, options, pieces).maximum,
            Measurement.get(console, options, Text(self.text)).maximum,
        )

    def _lines(self, width: int, *, break_long_words: bool = True) -> list[str]:
        words = textwrap.wrap(
            self.text, width, break_long_words=False, break_on_hyphens=False
        )  # at spaces, as long as that is enough
        inside = _Inside(width, break_long_words=break_long_words)
        return [piece for word in words for piece in inside.wrap(word)]


class _Inside(textwrap.TextWrapper):
    """Breaks words, but no numbers."""

    wordsep_re = re.compile(r"(\s+)|(?<=[._-])(?=[^\W\d])|(?<==)")


def verdict(word: str) -> Text:
    """Return the cell of a verdict."""
    return Text(_UNCLEAR if word == UNDECIDED else word, style=_STYLE.get(word, ""))


def how_to_read(found: Collection[str], margin: float) -> list[str]:
    """Return what the verdicts of a table mean.

    Args:
        found: Those that are in it.
        margin: In dB: what counts as equivalent.
    """
    equal = f"equivalent: within \u00b1{margin:g} dB; " if margin > 0 else ""
    told = [f"{equal}better, worse: excludes 0; {_UNCLEAR}: neither."]
    if UNDECIDED in found:
        told.append(f"{_UNCLEAR}: called {UNDECIDED} in sentences, reports and --json.")
    return told


def wrapped(text: str) -> list[str]:
    """Return a text in lines as narrow as the tables that it explains."""
    return textwrap.wrap(text, 80, break_on_hyphens=False)


def narrowing(account: Account) -> list[str]:
    """Return what twice the images and what twice the seeds would bring; empty if not known."""
    if not account.estimable:
        return []
    open_ = "" if account.tells else ": these data do not tell if seeds help"
    return [
        f"Twice the images would narrow these intervals by {TWICE_THE_IMAGES:.0%},",
        f"twice the seeds by {account.twice_the_seeds}{open_}.",
    ]
