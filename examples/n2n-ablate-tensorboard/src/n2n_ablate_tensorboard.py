"""TensorBoard for n2n-ablate: a run per trial, with curves while it trains and images at its end."""

import os
import re
import shutil
from pathlib import Path

from n2n_ablate import hookimpl

_WHOLE = "whole"  # an empty file in the folder of a run that lacks nothing


class TensorBoard:
    """Writes runs into `./tensorboard`, or the folder that `N2N_ABLATE_TENSORBOARD` names."""

    background = True  # training never waits for it

    def __init__(self):
        self._plan, self._writers = None, {}

    @hookimpl
    def study_started(self, plan):
        """Begin a study."""
        self._plan, self._writers = plan, {}

    @hookimpl
    def confirmation_started(self, plan):
        """Go on with its confirmation."""
        self._plan = plan

    @hookimpl
    def trial_started(self, trial):
        """Open a run, unless it is there."""
        from torch.utils.tensorboard import SummaryWriter  # late: it takes seconds

        folder = self._folder(trial)
        if not (folder / _WHOLE).exists() and trial.name not in self._writers:
            shutil.rmtree(folder, ignore_errors=True)  # half of it, from a process that was killed
            self._writers[trial.name] = SummaryWriter(str(folder))

    @hookimpl
    def point(self, point):
        """Write the curves of a fit while it trains."""
        if writer := self._writers.get(point.trial):
            name = f"{point.condition}/{point.image}/seed-{point.seed}"
            for metric, value in point.values.items():
                writer.add_scalar(f"fits-{metric}/{name}", value, point.step)

    @hookimpl
    def trial_finished(self, result):
        """Write the means over images, the denoised images and the recipe."""
        writer = self._writers.pop(result.trial.name, None)
        if writer is None:
            return  # it is there
        for condition in self._plan.conditions:
            for metric in (*self._plan.metrics, "loss"):
                curves = result.curves(metric, condition.label)
                for step, value in zip(curves.steps, curves.mean, strict=True):
                    writer.add_scalar(f"mean-{metric}/{condition.label}", value, step)
        first = result.rows[0].seed
        for row in result.with_images().rows:  # read from disk: it got none
            image = row.result.denoised
            if image is not None and row.seed == first:
                image = image / 65535 if image.dtype == "uint16" else image.clip(0, 1)
                writer.add_image(f"{row.condition}/{row.image}", image.astype("float32"))
        values = result.trial.recipe.flat().items()
        writer.add_text("recipe", "\n".join(f"    {key} = {value}" for key, value in values))
        writer.close()
        (self._folder(result.trial) / _WHOLE).touch()

    @hookimpl
    def study_finished(self):
        """Close what a study that was stopped left open."""
        for writer in self._writers.values():
            writer.close()

    def _folder(self, trial):
        root = Path(os.environ.get("N2N_ABLATE_TENSORBOARD") or "tensorboard")
        name = re.sub(r"[^\w.=-]+", "-", trial.name)[:80]
        key = self._plan.trial_key(trial)  # the same when the study is run again
        return root / self._plan.study.name / f"{name}-{key[:8]}"


plugin = TensorBoard()
