"""What a study file may hold at all: printable text, finite sizes. Checked before anything is read."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping

from n2n_ablate.errors import StudyError, printable

MOST_BYTES = 1_000_000
MOST_TRIALS = 100_000
MOST_SEEDS = 10_000
LARGEST_SEED = 2**31 - 1
LARGEST_SIDE = 100_000  # pixels
_DEEPEST = 20
_LONGEST = 1000  # characters of a name or a sentence
_LARGEST = 2**63 - 1  # whole numbers that files and databases hold


def check(data: object, where: str = "") -> None:
    """Check everything inside plain data.

    Names and sentences end up in tables, file names, databases and web pages, so they have to be
    one line of printable text.

    `data`: what a TOML file holds, or a part of it; `where`: how to call it in a message, e.g. `--set`.
    """
    for path, value in _walk(data, where, 0):
        reason = _wrong(value)
        if reason:
            msg = f"'{path}' {reason}"
            raise StudyError(msg)


def check_numbers(
    *,
    trials: int | None = None,
    seeds: int | None = None,
    first_seed: int | None = None,
    crop: int | None = None,
    white: float | None = None,
) -> None:
    """Check numbers that are given on the command line; None is not given."""
    wrong = ""
    if trials is not None and trials < 1:
        wrong = f"--trials must be at least 1, got {trials}"
    elif crop is not None and not 0 <= crop <= LARGEST_SIDE:
        wrong = f"--crop must be from 0 to {LARGEST_SIDE}, got {crop}"
    elif white is not None and not 0 < white < float("inf"):
        wrong = f"--white must be above 0, got {white:g}"
    elif seeds is not None and not 1 <= seeds <= MOST_SEEDS:
        wrong = f"--seeds must be from 1 to {MOST_SEEDS}, got {seeds}"
    elif first_seed is not None and not 0 <= first_seed <= LARGEST_SEED:
        wrong = f"--first-seed must be from 0 to {LARGEST_SEED}, got {first_seed}"
    if wrong:
        raise StudyError(wrong)


def _walk(value: object, path: str, depth: int) -> Iterator[tuple[str, object]]:
    if depth > _DEEPEST:
        msg = f"'{path[:80]}...' is nested more than {_DEEPEST} levels deep"
        raise StudyError(msg)
    if isinstance(value, Mapping):
        for key, nested in value.items():
            if reason := _wrong(key):
                msg = f"a key of '{path}' {reason}" if path else f"a key {reason}"
                raise StudyError(msg)
            yield from _walk(nested, f"{path}.{key}" if path else str(key), depth + 1)
    elif isinstance(value, list | tuple):
        for index, nested in enumerate(value):
            yield from _walk(nested, f"{path}[{index}]", depth + 1)
    else:
        yield path, value


def _wrong(value: object) -> str:
    if isinstance(value, str):
        if len(value) > _LONGEST:
            return f"has {len(value)} characters, at most {_LONGEST} can be used"
        if not value.isprintable():
            return f"must be one line of printable text, got '{printable(value)}'"
    elif isinstance(value, float) and math.isnan(value):
        return "must be a number, got nan"
    elif isinstance(value, int) and abs(value) > _LARGEST:
        return "is a number of too many digits"
    return ""
