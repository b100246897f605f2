"""Studies: from a TOML file to the trials that answer its question. Pure: trains nothing.

What a study file, a setting or an option may not say raises a `StudyError` that names the key.
"""

from __future__ import annotations

from n2n_ablate.study.confirm import chosen as chosen
from n2n_ablate.study.confirm import confirmation as confirmation
from n2n_ablate.study.designs import Effect as Effect
from n2n_ablate.study.find import find as find
from n2n_ablate.study.find import known as known
from n2n_ablate.study.find import shipped as shipped
from n2n_ablate.study.model import BASELINE as BASELINE
from n2n_ablate.study.model import DESIGNS as DESIGNS
from n2n_ablate.study.model import Condition as Condition
from n2n_ablate.study.model import Confirm as Confirm
from n2n_ablate.study.model import Factor as Factor
from n2n_ablate.study.model import Profile as Profile
from n2n_ablate.study.model import Scale as Scale
from n2n_ablate.study.model import Spread as Spread
from n2n_ablate.study.model import Study as Study
from n2n_ablate.study.model import Trial as Trial
from n2n_ablate.study.model import levels_of_samples as levels_of_samples
from n2n_ablate.study.model import seeds_text as seeds_text
from n2n_ablate.study.plan import Plan as Plan
from n2n_ablate.study.planning import plan as plan
from n2n_ablate.study.read import build as build
from n2n_ablate.study.read import read as read
from n2n_ablate.study.values import Level as Level
from n2n_ablate.study.values import MeasuredPairs as MeasuredPairs
