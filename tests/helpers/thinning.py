"""Parameters of which every run of the tests takes some, and `make torture` all."""

from collections.abc import Iterable

import pytest


def thinned(*often: object, rare: Iterable[object]) -> list[object]:
    """Return parameters, the rare ones among them marked as slow."""
    others = (value for value in rare if value not in often)
    marked = (
        pytest.param(*(value if isinstance(value, tuple) else (value,)), marks=pytest.mark.slow)
        for value in others
    )
    return [*often, *marked]
