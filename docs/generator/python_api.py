"""The public names of `n2n_ablate` and of its test kit, from their docstrings."""

from __future__ import annotations

import inspect
import re
from typing import Any

import n2n_ablate
from generator import docstrings
from n2n_ablate import api, testing
from n2n_ablate.testing import CONTRACTS

_STUDIES = ("make_study", "run", "load", "compare", "plan", "denoise")
_ALIASES = {
    "Views": "What a split makes of images (b, c, h, w): tensors (b, c, h', w').",
    "Split": "What `Sampler.draw` returns: it cuts any image of the same size in the same way.",
    "Pairs": "Which views are trained against each other, as (input, target).",
    "Register": "What a registration hook is given: it takes a name and what makes the component.",
    "hookimpl": "Marks a function as the implementation of the [hook](hooks.md) that it is named after.",
    "__version__": "The version of the program.",
}
"""Public names that can have no docstring."""


def studies() -> str:
    """Return the functions and the result of the Python API, with their arguments."""
    sections = [docstrings.function(f"n2n_ablate.{name}", getattr(api, name)) for name in _STUDIES]
    return "\n\n".join([*sections, docstrings.public_class("StudyResult", api.StudyResult)])


def plugin_names() -> str:
    """Return every public name that the page of functions does not have, by the alphabet."""
    return _pages(n2n_ablate, [*n2n_ablate.__all__], {*_STUDIES, "StudyResult"})


def test_kit() -> str:
    """Return every public name of `n2n_ablate.testing`."""
    names = [name for name, shown in vars(testing).items() if not inspect.ismodule(shown)]
    public = [name for name in names if not name.startswith("_") and name != "CONTRACTS"]
    contracts = ", ".join(f"`{kind}`: {each.__name__}" for kind, each in CONTRACTS.items())
    return f"{_pages(testing, public, set())}\n\n## CONTRACTS\n\nThe contract of every kind. {contracts}."


def _pages(module: Any, names: list[str], without: set[str]) -> str:
    chosen = sorted({*names} - without, key=lambda name: name.strip("_").lower())
    return "\n\n".join(_one(name, getattr(module, name)) for name in chosen)


def _one(name: str, shown: Any) -> str:
    if name in _ALIASES:
        value = re.sub(r"\b(typing|collections\.abc)\.", "", str(shown))
        code = (
            "" if name in ("hookimpl", "__version__") else f"```python\n{name} = {value}\n```\n\n"
        )
        return f"## {name}\n\n{code}{_ALIASES[name]}"
    if inspect.isclass(shown):
        return docstrings.public_class(name, shown)
    return docstrings.function(name, shown)
