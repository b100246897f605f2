"""Training: from fits (one recipe, one noisy image, one seed) to results. Knows no study."""

from __future__ import annotations

from n2n_ablate.engine.device import Machine as Machine
from n2n_ablate.engine.device import machine as machine
from n2n_ablate.engine.dry_run import dry_run as dry_run
from n2n_ablate.engine.fit import Fit as Fit
from n2n_ablate.engine.fit import FitSpec as FitSpec
from n2n_ablate.engine.memory import StackSizeCache as StackSizeCache
from n2n_ablate.engine.memory import memory_of as memory_of
from n2n_ablate.engine.memory import require_room as require_room
from n2n_ablate.engine.pool import failed as failed
from n2n_ablate.engine.pool import fit_all as fit_all
from n2n_ablate.engine.pool import stacks_of as stacks_of
from n2n_ablate.engine.train import prepared as prepared
from n2n_ablate.engine.window import window_of as window_of
