"""What a study found, and what can be said of it."""

from __future__ import annotations

from n2n_ablate.analysis.trials import Line as Line
from n2n_ablate.analysis.trials import ReferenceMethods as ReferenceMethods
from n2n_ablate.analysis.trials import Row as Row
from n2n_ablate.analysis.trials import StudyResult as StudyResult
from n2n_ablate.analysis.trials import TrialResult as TrialResult
