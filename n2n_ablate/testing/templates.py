"""What `n2n-ablate new` writes: a component of every kind that keeps its promises as it stands.

NAME, CLASS, MODULE and DISTRIBUTION are replaced. Three lines of each component are marked.
"""

from __future__ import annotations

SAMPLER = '''\
"""The sampler NAME. Three marked lines make it yours."""

from n2n_ablate import hookimpl


class CLASS:
    """Even rows against odd rows; an odd last row is dropped."""  # 1: what it does, in a line

    def draw(self, image, rng):
        # Called once per step. Random choices are made here, with `rng` (a generator on the CPU).
        # Without any, `fixed = True` in the class draws once per fit, which is faster.
        def split(image):  # may be called again, on the denoised image: cut in the same places
            first = image[..., 0:-1:2, :]  # 2: one view of the scene, from images (b, c, h, w)
            second = image[..., 1::2, :]  # 3: another one, of the same shape, with other noise
            return first, second

        return split


@hookimpl
def register_samplers(register):
    register("NAME", CLASS)
'''

NOISE = '''\
"""The noise model NAME. Three marked lines make it yours."""

from dataclasses import dataclass
from typing import Annotated

import torch

from n2n_ablate import Range, hookimpl


@dataclass(frozen=True)
class CLASS:
    """White uniform noise, as wide everywhere."""  # 1: what it does, in a line

    width: Annotated[float, Range(0, 255)] = 80.0  # 2: parameters; strengths on the 0-255 scale

    def apply(self, clean, rng):
        # Images are (1, c, h, w), 0 for black and 1 for white. All randomness comes from `rng`.
        noise = torch.rand(clean.shape, generator=rng) - 0.5  # 3: what is added
        return clean + self.width / 255 * noise


@hookimpl
def register_noises(register):
    register("NAME", CLASS)
'''

BACKBONE = '''\
"""The network NAME. Three marked lines make it yours."""

from dataclasses import dataclass
from typing import Annotated

from torch import nn

from n2n_ablate import Range, hookimpl


@dataclass(frozen=True)
class CLASS:
    """Two 3x3 convolutions."""  # 1: what it is, in a line

    width: Annotated[int, Range(1, 512)] = 32
    halo = 2  # 2: how many pixels away it looks; leave the line out if it looks at everything

    def build(self, channels):
        # From noisy to denoised images (n, channels, h, w), any h and w; no batch normalisation.
        layers = [nn.Conv2d(channels, self.width, 3, padding=1), nn.LeakyReLU(0.2)]  # 3: layers
        return nn.Sequential(*layers, nn.Conv2d(self.width, channels, 3, padding=1))


@hookimpl
def register_backbones(register):
    register("NAME", CLASS)
'''

LOSS = '''\
"""The loss NAME. Three marked lines make it yours."""

import torch

from n2n_ablate import hookimpl


class CLASS:
    """Each denoised view against the other view, to the power 1.5."""  # 1: what it is, in a line

    def __call__(self, context):
        views = context.views(context.noisy)  # 2: cut the noisy images (b, c, h, w) into views
        denoised = context.denoise(*views)
        errors = [
            (denoised[i] - views[j]).abs().pow(1.5).mean(dim=(1, 2, 3))  # 3: an error per fit, (b,)
            for i, j in context.pairs  # view i is trained to predict view j
        ]
        return torch.stack(errors).mean(dim=0)


@hookimpl
def register_losses(register):
    register("NAME", CLASS)
'''

TRAINING = '''\
"""The training NAME. Three marked lines make it yours."""

from dataclasses import dataclass
from typing import Annotated

import torch

from n2n_ablate import Range, hookimpl


@dataclass(frozen=True)
class CLASS:
    """AdamW whose learning rate falls along a straight line."""  # 1: what it does, in a line

    lr: Annotated[float, Range(1e-6, 0.1, log=True)] = 1e-3
    steps: Annotated[int, Range(1, 100_000)] = 3000  # profiles of studies set this one

    def optimizer(self, weights):
        return torch.optim.AdamW(weights, lr=self.lr)  # 2: the optimiser

    def learning_rate(self, step):
        return self.lr * (1 - step / self.steps)  # 3: the learning rate, step 0 first; never 0


@hookimpl
def register_trainings(register):
    register("NAME", CLASS)
'''

ESTIMATOR = '''\
"""The estimator NAME. Three marked lines make it yours."""

from n2n_ablate import hookimpl


class CLASS:
    """Mean of the image denoised as it is and upside down."""  # 1: what it does, in a line

    def averaging_weight(self, step, steps):
        return 1.0  # 2: how far the kept weights move to the current ones; 1 keeps the last

    def estimate(self, denoise, noisy):
        # `denoise` maps images (b, c, h, w) to a tuple of denoised ones, one for each.
        (plain,) = denoise(noisy)
        (turned,) = denoise(noisy.flip(-2))
        return (plain + turned.flip(-2)) / 2  # 3: the denoised image


@hookimpl
def register_estimators(register):
    register("NAME", CLASS)
'''

METRIC = '''\
"""The metric NAME. Three marked lines make it yours."""

from n2n_ablate import hookimpl


class CLASS:
    """Largest error in grey levels, 0 for identical images."""  # 1: what it is, in a line

    higher_is_better = False  # 2: which way is good; and the unit, for tables
    unit = "grey levels"

    def measure(self, denoised, clean, noisy):
        # Images are (b, c, h, w), 0 for black and 1 for white; one value per image, shape (b,).
        return 255 * (denoised - clean).abs().amax(dim=(1, 2, 3))  # 3: the value


@hookimpl
def register_metrics(register):
    register("NAME", CLASS)
'''

STRATEGY = '''\
"""The search strategy NAME. Three marked lines make it yours."""

from dataclasses import dataclass
from typing import Annotated

from n2n_ablate import Range, hookimpl


@dataclass(frozen=True)
class CLASS:
    """TPE that weighs more candidates for each point."""  # 1: how it chooses, in a line

    startup: Annotated[int, Range(0, 1000)] = 6  # 2: parameters

    def sampler(self, seed):
        import optuna  # here, so that commands that search nothing do not wait for it

        return optuna.samplers.TPESampler(  # 3: any sampler of Optuna's; all randomness from `seed`
            seed=seed, n_startup_trials=self.startup, n_ei_candidates=48
        )


@hookimpl
def register_strategies(register):
    register("NAME", CLASS)
'''

COMPONENTS = {
    "noise": NOISE,
    "sampler": SAMPLER,
    "backbone": BACKBONE,
    "loss": LOSS,
    "training": TRAINING,
    "estimator": ESTIMATOR,
    "metric": METRIC,
    "strategy": STRATEGY,
}
"""The plugin file by kind."""

USE = {
    "noise": "n2n-ablate study samplers --set noise=NAME",
    "sampler": "n2n-ablate study samplers --set sampler=NAME",
    "backbone": "n2n-ablate study networks --set backbone=NAME",
    "loss": "n2n-ablate study samplers --set loss=NAME",
    "training": "n2n-ablate study samplers --set training=NAME",
    "estimator": "n2n-ablate study estimator --set estimator=NAME",
    "metric": "",
    "strategy": "",
}
"""How a component gets into a study, by kind; empty where only a study file can name it."""

PYPROJECT = """\
[build-system]
requires = ["setuptools>=77"]
build-backend = "setuptools.build_meta"

[project]
name = "DISTRIBUTION"
version = "0.1.0"
description = "The KIND NAME for n2n-ablate."
readme = "README.md"
requires-python = ">=3.11"
dependencies = ["n2n-ablate"]

[project.optional-dependencies]
test = ["n2n-ablate[testing]"]

# Installed, the package is known by this name, and n2n-ablate loads the module behind it.
[project.entry-points.n2n_ablate]
NAME = "MODULE"

[tool.setuptools]
package-dir = { "" = "src" }
py-modules = ["MODULE"]

[tool.pytest.ini_options]
pythonpath = ["src"]
"""

README = """\
# DISTRIBUTION

The KIND `NAME` for n2n-ablate.

```sh
pip install .
n2n-ablate check NAME      # the promises of its kind, one by one
n2n-ablate plugins NAME    # what it is, its parameters, where it comes from
```
"""

TEST = '''\
"""NAME keeps the promises of a KIND. Run: pip install -e '.[test]' and pytest."""

from n2n_ablate.testing import CONTRACT
from MODULE import CLASS


class TestCLASS(CONTRACT):
    KIND = CLASS()
'''
