"""Where fits are trained: by this process, or by workers on one machine or many. Knows no study."""

from __future__ import annotations

from n2n_ablate.execute.choice import Choice as Choice
from n2n_ablate.execute.executor import Executor as Executor
from n2n_ablate.execute.executor import Local as Local
