"""Names of images and conditions in a form that files and metrics may have."""

from __future__ import annotations

import re
from collections.abc import Iterable


def slugs(names: Iterable[str]) -> dict[str, str]:
    """Return a form of every name that files and metrics may have; different for different names."""
    found: dict[str, str] = {}
    for name in names:
        plain = re.sub(r"[^\w.-]+", "-", name).strip("-.")[:100] or "unnamed"
        taken, slug, count = set(found.values()), plain, 1
        while slug in taken:
            count += 1
            slug = f"{plain}-{count}"
        found[name] = slug
    return found
