"""What comes out of training: points, and the result; as plain data and arrays for files and processes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

FIT_KEY = r"^[0-9a-f]{32}$"
"""What the identity of a fit looks like, see `Fingerprints.fit_key`."""


@dataclass(frozen=True)
class Point:
    """One point of a fit's curves, handed over while it is being trained.

    Attributes:
        key: The identity of the fit.
        step: Counted from 1.
        steps: How many there are.
        values: `loss` and every metric, by name.
        trial: Name of the first trial that has the fit.
        condition: Label of its noise.
        image: Name of its image.
        seed: Its seed.
    """

    key: str
    step: int
    steps: int
    values: Mapping[str, float]
    trial: str = ""
    condition: str = ""
    image: str = ""
    seed: int = 0


@dataclass(frozen=True, eq=False)
class FitResult:
    """What a fit gave.

    Attributes:
        key: The identity of the fit.
        figures: Final value of every metric, and `loss`.
        steps: Steps at which the curves have a point, counted from 1; the last is the end.
        curves: `loss` and every metric at those steps.
        denoised: The denoised image, uint16 (c, h, w), 65535 for white (float32, 1 for white, of a
            fit that is `unclipped`); None if the fit failed.
        seconds: Its share of the time its stack took.
        failure: Why there is no result, empty if there is one.
        passing: True if it stopped with an error that need not come again (memory, a bug that will
            be mended); such a result is reported but not stored.
    """

    key: str
    figures: Mapping[str, float]
    steps: np.ndarray
    curves: Mapping[str, np.ndarray]
    denoised: np.ndarray | None
    seconds: float
    failure: str = ""
    passing: bool = False


Listener = Callable[[Point], None]
"""Called at every point of every curve, from any thread."""


_CURVE = "curve."


def to_arrays(result: FitResult) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """Return what JSON can hold of a result, and its arrays by name, in C order."""
    about = {
        "key": result.key,
        "figures": dict(result.figures),
        "seconds": result.seconds,
        "failure": result.failure,
    }
    if result.passing:
        about["passing"] = True
    arrays = {f"{_CURVE}{name}": values for name, values in result.curves.items()}
    arrays["steps"] = result.steps
    if result.denoised is not None:
        arrays["denoised"] = result.denoised
    # safetensors writes an array's memory as it lies, so it has to lie in C order.
    return about, {name: np.ascontiguousarray(array) for name, array in arrays.items()}


def from_arrays(about: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> FitResult:
    """Return the result that `to_arrays` was given; an image that is not among the arrays is None."""
    curves = {
        name.removeprefix(_CURVE): values
        for name, values in arrays.items()
        if name.startswith(_CURVE)
    }
    return FitResult(
        key=about["key"],
        figures=about["figures"],
        steps=arrays["steps"],
        curves=curves,
        denoised=arrays.get("denoised"),
        seconds=about["seconds"],
        failure=about["failure"],
        passing=about.get("passing", False),
    )
