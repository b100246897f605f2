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
from n2n_ablate.stats.variance import (
    TWICE_THE_IMAGES,
    Account,
    Seeds,
    account,
    account_of_effects,
)

__all__ = [
    "FEWEST_TO_PLAN",
    "HALL_FROM",
    "InterimDesign",
    "Levels",
    "BETTER",
    "EQUIVALENT",
    "INCONCLUSIVE",
    "WORSE",
    "decide",
    "detectable_effect",
    "equivalence_power",
    "has_spread",
    "images_to_resolve",
    "left_out",
    "limits",
    "narrowing",
    "probability_within",
    "sizes_for",
    "spread_limit",
    "t_test",
    "wilson_interval",
    "within_images_interval",
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
