"""The pages of the documentation, and the code on them."""

import re
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
PAGES = [ROOT / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md")]
PAGES += sorted(DOCS.rglob("*.md"))
_BLOCK = re.compile(r'^```(\w+)(?: title="([^"]+)")?\n(.*?)^```$', re.MULTILINE | re.DOTALL)
_INLINE = re.compile(r"`([^`\n]+)`")
_GENERATED = re.compile(r"<!-- generated: .*?<!-- /generated -->", re.DOTALL)


@dataclass(frozen=True)
class Block:
    """A fenced block of a page."""

    page: Path
    language: str
    title: str
    text: str

    def __str__(self):
        return f"{self.page.relative_to(ROOT)}:{self.title or self.language}"


def blocks(page):
    return [Block(page, *match) for match in _BLOCK.findall(page.read_text(encoding="utf-8"))]


def written_blocks(page):
    """The blocks that no generator wrote."""
    text = _GENERATED.sub("", page.read_text(encoding="utf-8"))
    return [Block(page, *match) for match in _BLOCK.findall(text)]


def prose(page):
    """A page without its fenced blocks."""
    return _BLOCK.sub("", page.read_text(encoding="utf-8"))


def shell_lines(page):
    """Every command line of a page, in blocks and in running text."""
    for block in blocks(page):
        if block.language in ("sh", "console"):
            yield from (line.removeprefix("$ ") for line in block.text.splitlines())
    yield from _INLINE.findall(prose(page))
