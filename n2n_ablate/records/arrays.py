"""Results as plain data and arrays, for files and for the way from one process to another."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from n2n_ablate.records import FitResult

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
