"""The README for a package index, which shows neither the files beside it nor their links."""

from __future__ import annotations

import re

_PICTURE = re.compile(r"^!\[[^]]*\]\((?!https://)[^)]*\)\n\n?", re.MULTILINE)
_LINK = re.compile(r"\[([^]]*)\]\((?!https://)[^)]*\)")


def from_readme(text: str) -> str:
    """Return the README without pictures and links that lead to files of the repository."""
    return _LINK.sub(r"\1", _PICTURE.sub("", text))
