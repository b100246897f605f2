"""What authors of components see: protocols, parameters, recipes, splits. Loads without torch."""

from __future__ import annotations

from n2n_ablate.components.optional import BOTH_WAYS as BOTH_WAYS
from n2n_ablate.components.optional import OBJECT as OBJECT
from n2n_ablate.components.optional import OFFERED as OFFERED
from n2n_ablate.components.optional import OPTIONAL as OPTIONAL
from n2n_ablate.components.optional import UndeclaredError as UndeclaredError
from n2n_ablate.components.optional import at_step as at_step
from n2n_ablate.components.optional import declared as declared
from n2n_ablate.components.optional import declares as declares
from n2n_ablate.components.optional import is_drawn_once as is_drawn_once
from n2n_ablate.components.optional import is_fixed as is_fixed
from n2n_ablate.components.optional import mask_of as mask_of
from n2n_ablate.components.optional import pairs_of as pairs_of
from n2n_ablate.components.optional import prepare_sampler as prepare_sampler
from n2n_ablate.components.optional import probe_steps as probe_steps
from n2n_ablate.components.protocols import KINDS as KINDS
from n2n_ablate.components.protocols import PROTOCOLS as PROTOCOLS
from n2n_ablate.components.protocols import RECIPE_KINDS as RECIPE_KINDS
from n2n_ablate.components.protocols import Backbone as Backbone
from n2n_ablate.components.protocols import CheckpointSelector as CheckpointSelector
from n2n_ablate.components.protocols import Estimator as Estimator
from n2n_ablate.components.protocols import Loss as Loss
from n2n_ablate.components.protocols import LossContext as LossContext
from n2n_ablate.components.protocols import MeasuredNoise as MeasuredNoise
from n2n_ablate.components.protocols import Metric as Metric
from n2n_ablate.components.protocols import Noise as Noise
from n2n_ablate.components.protocols import Pairs as Pairs
from n2n_ablate.components.protocols import Sampler as Sampler
from n2n_ablate.components.protocols import Split as Split
from n2n_ablate.components.protocols import Strategy as Strategy
from n2n_ablate.components.protocols import Training as Training
from n2n_ablate.components.protocols import Views as Views
