"""A study whose results are drawn from a known truth instead of being trained: fast, and decided."""

import hashlib
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
from PIL import Image as Pillow
from rich.console import Console

from n2n_ablate.records import FitResult
from n2n_ablate.registry.hookspecs import hookimpl
from n2n_ablate.report.live import Silent
from n2n_ablate.runner.run import open_runner
from n2n_ablate.runner.session import Request, RunOptions, open_session
from n2n_ablate.storage.output import Output

TEXT = """
name = "drawn"
question = "Does the centre matter?"
design = "search"
contrasts = [{ "sampler.center" = 0.2 }, { "sampler.center" = 0.1 }]

[baseline]
sampler = { name = "three-by-three", center = 0.01 }
backbone = { name = "zs-n2n", width = 4 }
loss = "residual-consistency"
training = { name = "adam", steps = 4 }

[[conditions]]
noise = { name = "gaussian", sigma = 25.0 }
label = "sigma 25"

[factors]
"sampler.center" = { low = 0.0, high = 0.5, levels = [0.2, 0.1] }

[references]
diagonal = { sampler = { name = "diagonal" } }

[search]
strategy = "random"

[profiles.quick]
images = ["seen"]
crop = 24
trials = 7

[profiles.quick.confirm]
images = ["held"]
"""


def uniform(*words):
    digest = hashlib.sha256("/".join(map(str, words)).encode()).digest()
    return int.from_bytes(digest[:8], "big") / 2**64


def drawn(fit):
    """Return what a fit gives: 0.2 is 1 dB worse, 0.1 differs by image, other weights are better."""
    image, centre = float(fit.noisy.sum()), getattr(fit.sampler, "center", 0.0)
    psnr = 25 + 4 * uniform(image) + 0.01 * uniform(fit.key)
    if centre == 0.1:
        psnr += 0.4 * (uniform("open", image) - 0.5)
    elif centre == 0.2:
        psnr -= 1
    elif centre > 0.01:  # whatever the search finds
        psnr += 0.3 + centre
    return given(fit, psnr)


def luckier(fit):
    """Return what a fit gives in a later part of the search: it surpasses all that went before.

    Which values a search tries follows from all code, so a truth alone cannot promise that.
    """
    centre = getattr(fit.sampler, "center", 0.0)
    own = drawn(fit)
    return own if centre in (0.0, 0.01, 0.1, 0.2) else given(fit, own.figures["psnr"] + 1)


def given(fit, psnr):
    """Return what a fit gives that ends with this PSNR."""
    return FitResult(
        key=fit.key,
        figures={"psnr": psnr, "ssim": 0.5, "loss": 0.1},
        steps=np.array([4], dtype=np.int32),
        curves={"psnr": np.array([psnr], dtype=np.float32)},
        denoised=None,
        seconds=0.01,
    )


def failed(fit):
    """Return what a fit gives that diverged."""
    lost = {"figures": {}, "curves": {}, "failure": "the loss is not a number at step 3"}
    return replace(drawn(fit), **lost)


class Drawn:
    """An executor that trains nothing.

    Args:
        seconds: That a fit takes.
        result: What a fit gives.
    """

    width = 2

    def __init__(self, seconds=0.0, result=drawn):
        self.seconds, self.result = seconds, result
        self.keys = []

    def run(self, fits, listener, note):
        for fit in fits:
            time.sleep(self.seconds)
            self.keys.append(fit.key)
            yield self.result(fit)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass


class Stops(Silent):
    """Stops the study, as Ctrl-C would, when a given number of fits is done in one of its parts."""

    def __init__(self, *, confirming, fits):
        super().__init__(Console(stderr=True, quiet=True))
        self.left, self.on, self.confirming = fits, not confirming, confirming

    @hookimpl
    def confirmation_started(self):
        self.on = self.confirming
        self._count(0)

    @hookimpl
    def fit_finished(self):
        self._count(1)

    def _count(self, more):
        self.left -= more if self.on else 0
        if self.on and self.left <= 0:
            raise KeyboardInterrupt


class Listens(Silent):
    def __init__(self):
        super().__init__(Console(stderr=True, quiet=True))
        self.notes = []

    @hookimpl
    def note(self, message):
        self.notes.append(message)


def photo(path, *, size=24, seed=0):
    rng = np.random.default_rng(seed)
    ramp = np.linspace(40, 200, size)[:, None, None] + rng.normal(0, 20, (size, size, 3))
    Pillow.fromarray(ramp.clip(0, 255).astype(np.uint8)).save(path)
    return path


def prepare(folder: Path, photo, *, seen=4, held=12, text=TEXT):
    """Write the study file and its images."""
    for name, count, start in (("seen", seen, 0), ("held", held, 100)):
        (folder / name).mkdir()
        for place in range(count):
            photo(folder / name / f"{place:02d}.png", seed=start + place)
    (folder / "drawn.toml").write_text(text)


def without_a_search():
    """The text of the same study with both contrasts alone, on its own images."""
    text = TEXT.replace('design = "search"', 'design = "one-at-a-time"').replace(
        '[search]\nstrategy = "random"\n', ""
    )
    text = text.partition("[profiles.quick.confirm]")[0].replace("trials = 7", "")
    return text.replace("{ low = 0.0, high = 0.5, levels = [0.2, 0.1] }", "[0.2, 0.1]")


def places():
    """Place of every image of the study in this folder, by `float(fit.noisy.sum())`."""
    session = open_session(Request(study="drawn.toml", precision="fp32"))
    return {
        float(item.noisy.sum()): place for place, item in enumerate(session.paired_data.samples)
    }


def opened(*, view=None, executor=None, race=None, refit=False, **asked):
    """Open the study of this folder, its results drawn."""
    session = open_session(Request(study="drawn.toml", precision="fp32", **asked))
    return open_runner(
        session,
        Output(Path("mlruns")),
        view or Silent(Console(stderr=True, quiet=True)),
        RunOptions(tracking="none", race=race, refit=refit),
        executor=executor or Drawn(),
    )
