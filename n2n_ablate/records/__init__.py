"""What a study hands over to whoever listens: points, fits, trials, results. Data, no computing."""

from __future__ import annotations

from n2n_ablate.records.files import NoisySample as NoisySample
from n2n_ablate.records.files import StudyFiles as StudyFiles
from n2n_ablate.records.files import TrialFiles as TrialFiles
from n2n_ablate.records.fit import FitResult as FitResult
from n2n_ablate.records.fit import Point as Point
from n2n_ablate.records.header import Header as Header
from n2n_ablate.records.header import ImageRef as ImageRef
from n2n_ablate.records.header import Invocation as Invocation
from n2n_ablate.records.results import ImageCurves as ImageCurves
from n2n_ablate.records.results import ReferenceMethods as ReferenceMethods
from n2n_ablate.records.results import Row as Row
from n2n_ablate.records.results import StudyTrials as StudyTrials
from n2n_ablate.records.results import TrialResult as TrialResult
from n2n_ablate.study import Plan as Plan
from n2n_ablate.study import Trial as Trial
