"""Names and sentences of users, written so that they are shown as they are and do nothing else."""

from __future__ import annotations

import re


def for_figure(text: str) -> str:
    """Return a text for matplotlib, where dollars would start a formula."""
    return text.replace("$", r"\$")


def for_markdown(text: str) -> str:
    """Return a text for Markdown: no link, no picture, no HTML, no other cell of a table."""
    return re.sub(r"([\\`*_\[\]<>|])", r"\\\1", text)
