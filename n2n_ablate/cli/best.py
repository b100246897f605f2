"""`n2n-ablate best`: the recipe of a study to use, and what supports it."""

from __future__ import annotations

import math
import shlex
from pathlib import Path

from n2n_ablate.cli import options, stdout
from n2n_ablate.cli.opened import open_run
from n2n_ablate.cli.screen import results, say


def run(
    study: options.Finished,
    profile: options.Ran = "",
    key: options.Run = "",
    output: options.Output = Path("mlruns"),
    *,
    as_json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Print the recipe of a study to use: the baseline, unless a trial is better beyond doubt.

    What is printed is the baseline of a study file. The same recipe is taken by
    denoise --from-study.

    Example:
        n2n-ablate best samplers
    """
    from n2n_ablate.analysis.best import choose, toml
    from n2n_ablate.errors import StoreError
    from n2n_ablate.stats import counted

    found = open_run(output, study, profile, key, quiet=quiet)
    if not found.result.trials:
        msg = f"study '{study}' has no finished trial yet. Run: n2n-ablate study {study}"
        raise StoreError(msg)
    chosen = choose(found.result)
    where = [] if output == Path("mlruns") else ["--output", str(output)]
    if not found.latest:
        where += ["--run", found.journal.key]
    words = ["denoise", "noisy.png", "-o", "clean.png", "--from-study", study, *where]
    command = shlex.join(["n2n-ablate", *words])
    if as_json:
        data = {
            "study": study,
            "profile": found.plan.profile.name,
            "run": found.journal.key,
            "trial": chosen.trial.name,
            "support": chosen.support,
            "psnr": chosen.psnr if math.isfinite(chosen.psnr) else None,
            "images": chosen.images,
            "highest": chosen.highest or None,
            "reasons": list(chosen.reasons),
            "recipe": chosen.trial.recipe.to_json(),
            "command": command,
        }
        stdout.write_json(data, allow_nan=False)
        return
    psnr = ""
    if math.isfinite(chosen.psnr):
        psnr = f", {chosen.psnr:.2f} dB over {counted(chosen.images, 'image')}"
        psnr += " of the confirmation" if found.result.confirmed else ""
    out = results()
    for text in (f"{chosen.trial.name}{psnr}", *chosen.reasons):
        out.print(f"# {' '.join(text.split())}", markup=False, highlight=False, soft_wrap=True)
    out.print(toml(chosen.trial.recipe), markup=False, highlight=False, soft_wrap=True)
    if not quiet:
        out.print(f"# {command}", markup=False, highlight=False, soft_wrap=True)
    for problem in () if quiet else found.problems():
        say(f"note: {problem}")
