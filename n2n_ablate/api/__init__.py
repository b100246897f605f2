"""The program from Python: run a study, open, compare or plan some, denoise an array."""

from __future__ import annotations

from n2n_ablate.api.calls import compare as compare
from n2n_ablate.api.calls import denoise as denoise
from n2n_ablate.api.calls import load as load
from n2n_ablate.api.calls import make_study as make_study
from n2n_ablate.api.calls import plan as plan
from n2n_ablate.api.calls import run as run
from n2n_ablate.api.result import StudyResult as StudyResult
