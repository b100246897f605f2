"""MLflow's own watch of processor, memory, disk and GPU while a study runs, for those who switch it on."""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Callable
from typing import Protocol, cast

SWITCH = "MLFLOW_ENABLE_SYSTEM_METRICS_LOGGING"
"""MLflow's own environment variable: `true` writes `system/...` metrics to the study's summary."""


class Monitor(Protocol):
    """What watches the machine in a thread of its own."""

    def finish(self) -> None:
        """Stop watching, and write what is left."""
        ...


def monitor(uri: str, run: str, note: Callable[[str], None]) -> Monitor | None:
    """Begin to watch the machine if that is switched on.

    `run`: id of the run that gets the values.
    """
    if os.environ.get(SWITCH, "").strip().lower() not in ("true", "1"):
        return None
    if importlib.util.find_spec("psutil") is None:
        note(f"{SWITCH} is set, but system metrics need psutil: pip install psutil")
        return None
    from mlflow.system_metrics.system_metrics_monitor import SystemMetricsMonitor

    started = SystemMetricsMonitor(run, resume_logging=True, tracking_uri=uri)
    started.start()
    return cast("Monitor", started)
