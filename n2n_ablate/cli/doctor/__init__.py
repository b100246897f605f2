"""What `n2n-ablate doctor` looks at, and what it says to do about what is wrong."""

from __future__ import annotations

from dataclasses import dataclass

OK, NOTE, WARNING, BROKEN = "ok", "note", "warning", "broken"


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at."""

    topic: str  # what: `python`, `device`, `disk` ...
    # `ok`; `note`: nothing is wrong; `warning`: some studies are affected; `broken`: no study can
    # run like this
    state: str
    text: str  # what was found, in one line
    advice: str = ""  # what to do about it, empty if there is nothing to do
