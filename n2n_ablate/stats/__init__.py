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
from n2n_ablate.stats.family import family, family_level
from n2n_ablate.stats.interim import InterimDesign, sizes_for
from n2n_ablate.stats.intervals import (
    HALL_FROM,
    has_spread,
    limits,
    wilson_interval,
    within_images_interval,
)
from n2n_ablate.stats.permutation import SignFlip, sign_flip
from n2n_ablate.stats.planning import (
    FEWEST_TO_PLAN,
    detectable_effect,
    equivalence_power,
    images_to_resolve,
    narrowing,
    spread_limit,
)
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
from n2n_ablate.stats.verdicts import (
    BETTER,
    EQUIVALENT,
    INCONCLUSIVE,
    WORSE,
    Levels,
    decide,
    holm,
    left_out,
    probability_within,
    t_test,
)

__all__ = [
    "BETTER",
    "EQUIVALENT",
    "FEWEST_TO_PLAN",
    "HALL_FROM",
    "INCONCLUSIVE",
    "LEVEL",
    "TWICE_THE_IMAGES",
    "UNDECIDED",
    "VERDICTS",
    "WORSE",
    "Account",
    "Crossing",
    "Difference",
    "InterimDesign",
    "Levels",
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
    "decide",
    "detectable",
    "detectable_effect",
    "effect",
    "equivalence_power",
    "family",
    "family_level",
    "has_spread",
    "holm",
    "images_for",
    "images_to_resolve",
    "images_to_settle",
    "kendall",
    "left_out",
    "limits",
    "narrowing",
    "paired",
    "peak",
    "power",
    "probability_within",
    "ranking",
    "response",
    "sign_flip",
    "sizes_for",
    "spread_limit",
    "surface",
    "t_critical",
    "t_interval",
    "t_test",
    "welch_interval",
    "wilson_interval",
    "within_images_interval",
]
