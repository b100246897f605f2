"""Statistics of a study: numbers in, numbers and one word out. Pure: numpy and scipy, no torch."""

from n2n_ablate.stats.bootstrap import bca
from n2n_ablate.stats.curves import Crossing, Peak, band, crossing, peak
from n2n_ablate.stats.differences import (
    LEVEL,
    UNDECIDED,
    VERDICTS,
    Difference,
    counted,
    paired,
    t_critical,
    t_interval,
    welch_interval,
)
from n2n_ablate.stats.effects import effect
from n2n_ablate.stats.family import family, family_level, holm
from n2n_ablate.stats.permutation import SignFlip, sign_flip
from n2n_ablate.stats.power import detectable, images_for, images_to_settle, power
from n2n_ablate.stats.ranking import Ranking, kendall, ranking
from n2n_ablate.stats.response import Response, response
from n2n_ablate.stats.sequential import Look, Looks
from n2n_ablate.stats.surface import Surface, surface
from n2n_ablate.stats.variance import (
    TWICE_THE_IMAGES,
    Account,
    Seeds,
    account,
    account_of_effects,
)

__all__ = [
    "LEVEL",
    "TWICE_THE_IMAGES",
    "UNDECIDED",
    "VERDICTS",
    "Account",
    "Crossing",
    "Difference",
    "Look",
    "Looks",
    "Peak",
    "Ranking",
    "Response",
    "Seeds",
    "SignFlip",
    "Surface",
    "account",
    "account_of_effects",
    "band",
    "bca",
    "counted",
    "crossing",
    "detectable",
    "effect",
    "family",
    "family_level",
    "holm",
    "images_for",
    "images_to_settle",
    "kendall",
    "paired",
    "peak",
    "power",
    "ranking",
    "response",
    "sign_flip",
    "surface",
    "t_critical",
    "t_interval",
    "welch_interval",
]
