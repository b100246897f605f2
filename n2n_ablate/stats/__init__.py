"""Statistics of a study: numbers in, numbers out. Pure: numpy and scipy, no torch."""

from n2n_ablate.stats.curves import Crossing, Peak, band, crossing, peak
from n2n_ablate.stats.interim import InterimDesign, sizes_for
from n2n_ablate.stats.intervals import (
    HALL_FROM,
    LEVEL,
    has_spread,
    limits,
    t_critical,
    t_interval,
    welch_interval,
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
    power,
    spread_limit,
)
from n2n_ablate.stats.ranking import Ranking, kendall, ranking
from n2n_ablate.stats.response import Response, response
from n2n_ablate.stats.variance import Seeds, VarianceComponents, components, components_of_effects
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
    "WORSE",
    "Crossing",
    "InterimDesign",
    "Levels",
    "Peak",
    "Ranking",
    "Response",
    "Seeds",
    "SignFlip",
    "VarianceComponents",
    "band",
    "components",
    "components_of_effects",
    "crossing",
    "decide",
    "detectable_effect",
    "equivalence_power",
    "has_spread",
    "holm",
    "images_to_resolve",
    "kendall",
    "left_out",
    "limits",
    "narrowing",
    "peak",
    "power",
    "probability_within",
    "ranking",
    "response",
    "sign_flip",
    "sizes_for",
    "spread_limit",
    "t_critical",
    "t_interval",
    "t_test",
    "welch_interval",
    "wilson_interval",
    "within_images_interval",
]
