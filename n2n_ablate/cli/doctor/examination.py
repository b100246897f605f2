"""Looks at everything that a study needs, and says what to do about what is wrong."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

from n2n_ablate.cli.doctor import host, remote, stores
from n2n_ablate.cli.doctor.finding import BROKEN, Finding
from n2n_ablate.errors import printable


def examine(
    output: Path = Path("mlruns"),
    *,
    plugins_dir: Path | None = None,
    tracking_uri: str = "",
    storage: str = "",
) -> list[Finding]:
    """Look at everything; change nothing.

    Args:
        output: The output folder.
        plugins_dir: A further folder of plugin files.
        tracking_uri: An MLflow store that has to be reachable.
        storage: A search storage that has to be reachable.
    """
    found = [*host.python(), *host.packages()]
    looks: list[Callable[[], Iterable[Finding]]] = [
        host.device,
        lambda: host.plugins(plugins_dir),
        lambda: stores.folder(output),
        lambda: stores.fits(output),
        lambda: stores.journals(output),
        lambda: stores.locks(output),
        lambda: stores.databases(output),
        lambda: stores.experiments(output),
        lambda: remote.tracking(output, tracking_uri),
        lambda: remote.storage(storage),
    ]
    if not any(item.state == BROKEN for item in found):  # the others import these packages
        for look in looks:
            found += look()
    return [
        Finding(item.topic, item.state, printable(item.text), printable(item.advice))
        for item in found
    ]
