"""Writes a new plugin: a file, or a package around it. Never over anything that is there.

The files of `templates/` are what is written, with NAME, CLASS, MODULE, DISTRIBUTION, CONTRACT and KIND replaced.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

from n2n_ablate.components import KINDS, PROTOCOLS, RECIPE_KINDS
from n2n_ablate.errors import PluginError, nearest
from n2n_ablate.files import make_folders, write_whole
from n2n_ablate.registry.discovery import LOCAL_FOLDER

_NAME = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")
_IMPORTED = ("Annotated", "Range")
_STUDY_OF = {"backbone": "networks", "estimator": "estimator"}
"""A study that a component of a kind can be tried in; that of the samplers for other kinds."""


@dataclass(frozen=True)
class Names:
    """One name in each of its forms: `my-pair`, `MyPair`, `my_pair`."""

    kind: str
    name: str

    @property
    def class_name(self) -> str:
        """The name as that of a class."""
        words = "".join(word.capitalize() for word in self.name.split("-"))
        return words + self.kind.capitalize() if words in _IMPORTED else words

    @property
    def distribution(self) -> str:
        """The name of the package."""
        return f"n2n-ablate-{self.name}"

    @property
    def use(self) -> str:
        """The command that tries the component in a study; empty where only a study file can name it."""
        if self.kind not in (*RECIPE_KINDS, "noise"):
            return ""
        study = _STUDY_OF.get(self.kind, "samplers")
        return f"n2n-ablate study {study} --set {self.kind}={self.name}"

    def fill(self, template: str) -> str:
        """Return a file of `templates/` with the names in it."""
        here = files("n2n_ablate.testing") / "templates" / f"{template}.txt"
        words = {
            "NAME": self.name,
            "CLASS": self.class_name,
            "MODULE": self.distribution.replace("-", "_"),
            "DISTRIBUTION": self.distribution,
            "CONTRACT": f"{PROTOCOLS[self.kind].__name__}Contract",
            "KIND": self.kind,
        }
        return re.sub("|".join(words), lambda match: words[match[0]], here.read_text("utf-8"))


def names(kind: str, name: str) -> Names:
    """Check what a new component is to be called."""
    if kind not in KINDS:
        msg = f"no kind is called '{kind}'. {nearest(kind, KINDS)}"
        raise PluginError(msg)
    if not _NAME.fullmatch(name):
        msg = (
            f"a {kind} cannot be called '{name}': lowercase words joined by hyphens, e.g. my-{kind}"
        )
        raise PluginError(msg)
    return Names(kind, name)


def new_file(wanted: Names, folder: Path | None = None) -> Path:
    """Write a plugin file and return its path; `folder` is `./plugins` if it is not given."""
    path = (folder or Path(LOCAL_FOLDER)) / f"{wanted.name.replace('-', '_')}.py"
    _write({path: wanted.fill(f"{wanted.kind}.py")})
    return path


def new_package(wanted: Names, folder: Path | None = None) -> Path:
    """Write a package around a plugin into a new folder, and return that folder."""
    root = (folder or Path()) / wanted.distribution
    if root.exists():
        raise PluginError(_taken(root))
    module = wanted.distribution.replace("-", "_")
    _write(
        {
            root / "pyproject.toml": wanted.fill("pyproject.toml"),
            root / "README.md": wanted.fill("README.md"),
            root / "src" / f"{module}.py": wanted.fill(f"{wanted.kind}.py"),
            root / "tests" / f"test_{wanted.name.replace('-', '_')}.py": wanted.fill("test.py"),
        }
    )
    return root


def _write(texts: Mapping[Path, str]) -> None:
    for path, text in texts.items():
        try:
            make_folders(path.parent)
            write_whole(path, text, keep_old=True)
        except FileExistsError:
            raise PluginError(_taken(path)) from None
        except OSError as error:
            msg = f"'{path}' cannot be written: {error.strerror or error}"
            raise PluginError(msg) from error


def _taken(path: Path) -> str:
    return f"'{path}' is there already and stays as it is. Choose another name or --output."
