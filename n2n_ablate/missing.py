"""What to say when a package is not installed: one line with its name, not a traceback."""

from __future__ import annotations

_PACKAGES = {
    **{
        name: name
        for name in (
            *("torch", "numpy", "scipy", "pluggy", "typer", "rich", "filelock", "safetensors"),
            *("optuna", "cmaes", "mlflow", "matplotlib", "tifffile", "jinja2"),
        )
    },
    "PIL": "pillow",
    "skimage": "scikit-image",
    "png": "pypng",
    "psycopg": "psycopg[binary]",
}
"""Name of the package by name of the module, for everything that this program may import."""


def told(error: ModuleNotFoundError) -> str:
    """Return the line that says which package to install; empty if it is none of the program's."""
    package = _PACKAGES.get((error.name or "").partition(".")[0])
    return f"the package '{package}' is not installed: pip install {package}" if package else ""
