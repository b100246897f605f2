"""Docstrings and signatures as Markdown."""

from __future__ import annotations

import contextlib
import enum
import inspect
import re
from collections.abc import Callable
from typing import Any

WIDTH = 100

_SECTION = re.compile(r"^(Args|Raises|Returns|Yields|Attributes|Examples?):$", re.MULTILINE)
_ENTRY = re.compile(r"^    ([\w, ]+): (.*(?:\n     +.*)*)", re.MULTILINE)

Parts = dict[str, dict[str, str]]


def parsed(thing: object) -> tuple[str, Parts]:
    """Return the body of a docstring as Markdown, and its sections as name -> text."""
    first, *rest = _SECTION.split(inspect.cleandoc(getattr(thing, "__doc__", None) or ""))
    parts, tail = {}, []
    for title, text in zip(rest[0::2], rest[1::2], strict=True):
        section, _, after = text.strip("\n").partition("\n\n")
        parts[title] = {name: " ".join(about.split()) for name, about in _ENTRY.findall(section)}
        tail.append(after.strip())
    body = "\n\n".join([first.strip(), *filter(None, tail)])
    return re.sub(r"::$", ":", body, flags=re.MULTILINE), parts


def function(name: str, thing: Callable[..., Any], level: str = "##") -> str:
    """Return a function with its signature, text, arguments, errors and what it returns."""
    body, parts = parsed(thing)
    heading = f"{level} {name.rpartition('.')[2]}"
    sections = [heading, f"```python\n{signature(name, thing)}\n```", body]
    sections.append(rows(parts.get("Args", {})))
    sections.append(rows(parts.get("Raises", {}), "Raises "))
    sections.append(" ".join(parts.get("Returns", {}).values()))
    return "\n\n".join(filter(None, sections))


def signature(name: str, thing: Callable[..., Any]) -> str:
    """Return a call with its parameters and defaults, broken where it is too long for a line."""
    given = [
        each.replace(annotation=inspect.Parameter.empty)
        for each in inspect.signature(thing).parameters.values()
        if each.name not in ("self", "cls")
    ]
    text = f"{name}{inspect.Signature(given)}"
    if len(text) > WIDTH:
        lines = ",\n    ".join(map(str, given))
        text = f"{name}(\n    {lines},\n)"
        first = next((each for each in given if each.kind is each.KEYWORD_ONLY), None)
        text = text if first is None else text.replace(f"    {first},", f"    *,\n    {first},", 1)
    return text.replace("'", '"')


def rows(named: dict[str, str], before: str = "") -> str:
    """Return a list with a line per name."""
    return "\n".join(f"- {before}`{name}`: {text}" for name, text in named.items())


def public_class(name: str, shown: type) -> str:
    """Return a class: its call, its fields and properties, then its methods."""
    body, parts = parsed(shown)
    sections = [f"## {name}"]
    if not getattr(shown, "_is_protocol", False) and not issubclass(shown, Exception):
        with contextlib.suppress(TypeError, ValueError):  # a class that nobody makes
            if (call := signature(name, shown)) != f"{name}()":
                sections.append(f"```python\n{call}\n```")
    attributes = parts.get("Attributes", parts.get("Args", {}))
    methods = []
    for member, value in vars(shown).items():
        if member.startswith(("_", "test_")) or isinstance(value, type | enum.Enum):
            continue
        inner = getattr(value, "fget", None) or getattr(value, "func", None)
        if inner is not None and inner.__doc__:
            attributes.setdefault(member, " ".join(parsed(inner)[0].split()))
        made = getattr(value, "__func__", value)
        if inspect.isfunction(made) and made.__doc__:
            methods.append(function(member, made, "###"))
    return "\n\n".join(filter(None, [*sections, body, rows(attributes), *methods]))


def cell(text: str) -> str:
    """Return text for a cell of a table."""
    return " ".join(text.split()).replace("|", "\\|")
