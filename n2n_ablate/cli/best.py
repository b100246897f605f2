"""`n2n-ablate best`: the recipe of a study to use, and what supports it."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING

from n2n_ablate.cli import options, stdout
from n2n_ablate.cli.opened import open_run
from n2n_ablate.cli.screen import results, say

if TYPE_CHECKING:
    from n2n_ablate.analysis.study_records import StudyAnalysis
    from n2n_ablate.components.recipe import Recipe


def run(
    study: options.Finished,
    profile: options.Ran = "",
    key: options.Run = "",
    output: options.Output = Path("mlruns"),
    *,
    as_json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Print the recommended recipe: the baseline, unless a trial is better.

    What is printed is the baseline of a study file. The same recipe is taken by
    denoise --from-study.

    Example:
        n2n-ablate best samplers
    """
    from n2n_ablate.analysis.analyse import analyse
    from n2n_ablate.errors import StoreError

    opened = open_run(output, study, profile, key, quiet=quiet)
    if not opened.result.trials:
        msg = f"study '{study}' has no finished trial yet. Run: n2n-ablate study {study}"
        raise StoreError(msg)
    analysis = analyse(opened.result, opened.header)
    best = analysis.best
    trials = {each.trial.name: each.trial for each in opened.result.trials}
    recipe = trials.get(best.name, opened.plan.baseline).recipe
    where = [] if output == Path("mlruns") else ["--output", str(output)]
    if not opened.latest:
        where += ["--run", opened.journal.key]
    words = ["denoise", "noisy.png", "-o", "clean.png", "--from-study", study, *where]
    command = shlex.join(["n2n-ablate", *words])
    if as_json:
        from n2n_ablate.analysis.records import to_plain

        data = {
            "study": study,
            "profile": opened.plan.profile.name,
            "run": opened.journal.key,
            **to_plain(best),
            "recipe": recipe.to_json(),
            "command": command,
        }
        stdout.write_json(data, allow_nan=False)
        return
    _print(analysis, recipe, "" if quiet else command)
    for problem in () if quiet else opened.problems():
        say(f"note: {problem}")


def _print(analysis: StudyAnalysis, recipe: Recipe, command: str) -> None:
    """Print the recipe with its reasons, and the command that denoises with it unless that is empty."""
    from n2n_ablate.components.recipe import toml
    from n2n_ablate.report.text.best import best_reasons, best_title, override_line

    best, out, confirmed = analysis.best, results(), analysis.confirmation is not None
    for text in (best_title(best, analysis.metric, confirmed=confirmed), *best_reasons(analysis)):
        out.print(f"# {text}", markup=False, highlight=False, soft_wrap=True)
    out.print(toml(recipe), markup=False, highlight=False, soft_wrap=True)
    for line in filter(None, (command, override_line(best, analysis.study))) if command else ():
        out.print(f"# {line}", markup=False, highlight=False, soft_wrap=True)
