"""Training: from fits (one recipe, one noisy image, one seed) to results. Knows no study."""

from __future__ import annotations

from n2n_ablate.fit.device import Machine as Machine
from n2n_ablate.fit.device import machine as machine
from n2n_ablate.fit.dry_run import dry_run as dry_run
from n2n_ablate.fit.job import Fit as Fit
from n2n_ablate.fit.job import FitResult as FitResult
from n2n_ablate.fit.job import Point as Point
from n2n_ablate.fit.largest import Largest as Largest
from n2n_ablate.fit.memory import memory_of as memory_of
from n2n_ablate.fit.memory import require_room as require_room
from n2n_ablate.fit.order import Order as Order
from n2n_ablate.fit.pool import failed as failed
from n2n_ablate.fit.pool import fit_all as fit_all
from n2n_ablate.fit.pool import stacks_of as stacks_of
from n2n_ablate.fit.train import prepared as prepared
from n2n_ablate.fit.window import window_of as window_of
