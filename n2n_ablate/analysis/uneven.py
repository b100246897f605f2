"""Tells where the rows of a table rest on different numbers of images, and what to make of that."""

from __future__ import annotations

from collections.abc import Sequence

from n2n_ablate.analysis.trials import Line, StudyResult


def uneven(lines: Sequence[Line]) -> bool:
    """Return whether differences and means, of one line or of several, are over different images."""
    own = [line for line in lines if line.role != "yardstick"]
    return len({count for line in own for count in (line.compared, line.whole)} - {0}) > 1


def told_uneven(result: StudyResult, condition: str) -> list[str]:
    """Return how to read the column of images; empty where the table has none."""
    lines = result.lines(condition)
    if not uneven(lines):
        return []
    means = ""
    if not result.plan.confirming:  # else the table has none
        ranked = len({line.images for line in lines if line.images}) > 1
        means = "; means of PSNR are over every image that a trial has"
        means += ", so differences are ranked" if ranked else ""
    told = [f"images: those of the difference{means}."]
    looks = [look for (label, _), look in result.looks.items() if label == condition]
    if any(look.settled and not look.last for look in looks):
        lost = " or lost images" if any(line.failures for line in lines) else ""
        told.append(
            f"Contrasts with fewer images were settled early{lost}: the interval holds, the mean "
            "tends to lie too far out."
        )
    return told
