"""Why a sampler wins or loses: figures that need no training, in numbers and in words. Records; `measure` measures."""

from __future__ import annotations

from n2n_ablate.diagnostics.model import Diagnosis as Diagnosis
from n2n_ablate.diagnostics.model import Estimate as Estimate
from n2n_ablate.diagnostics.model import Figures as Figures
from n2n_ablate.diagnostics.model import Probe as Probe
