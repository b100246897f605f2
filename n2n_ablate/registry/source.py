"""The code behind a component, as a hash: results of changed code must not pass for those of the old."""

from __future__ import annotations

import ast
import functools
import hashlib
import inspect
import linecache
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from n2n_ablate.errors import PluginError


def source_digest(factory: Any) -> str:
    """Return a hash of the code behind a component: its module, comments and docstrings stripped.

    A module that belongs to a package is hashed with all modules of the package that it was
    loaded from, because a component may call its neighbours.
    """
    while isinstance(factory, functools.partial):
        factory = factory.func
    module = sys.modules.get(getattr(factory, "__module__", ""))
    file = getattr(module, "__file__", None)
    if module is None or file is None:
        return _hash([_source(factory)])
    own_package = (module.__package__ or "") not in ("", "n2n_ablate_plugins")
    files = sorted(Path(file).parent.glob("*.py")) if own_package else [Path(file)]
    return _hash([path.read_bytes() for path in files])  # each says what its encoding is


def _source(factory: Any) -> str:
    """Return the source of what belongs to no file: of a class in a notebook, its whole cell."""
    for method in vars(factory).values() if inspect.isclass(factory) else ():
        code = getattr(method, "__code__", None)
        if code is not None and (lines := linecache.getlines(code.co_filename)):
            return "".join(lines)
    try:
        return inspect.getsource(factory)
    except (OSError, TypeError) as error:
        msg = f"the source of {factory!r} cannot be read, so its results could not be told apart"
        raise PluginError(msg) from error


def _hash(sources: Sequence[str | bytes]) -> str:
    digest = hashlib.sha256()
    for source in sources:
        tree = ast.parse(source.strip())
        for node in ast.walk(tree):
            body = getattr(node, "body", None)
            if isinstance(body, list) and body and _is_docstring(body[0]):
                body[:] = body[1:] or [ast.Pass()]
        digest.update(ast.dump(tree).encode())
    return digest.hexdigest()[:16]


def _is_docstring(node: Any) -> bool:
    return (
        isinstance(node, ast.Expr)
        and isinstance(node.value, ast.Constant)
        and isinstance(node.value.value, str)
    )
