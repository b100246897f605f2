"""`n2n-ablate best`: the recipe of a study to use, and what supports it."""

from __future__ import annotations

import shlex

from n2n_ablate.cli import grouping, options
from n2n_ablate.cli.screen import show, show_json


@grouping.grouped
def run(study: options.Finished, chosen: options.StoredRun, printed: options.PrintOptions) -> None:
    """Print the recommended recipe: the baseline unless a trial is better.

    What is printed is the baseline of a study file. denoise --from-study takes the same recipe.

    Example:
        n2n-ablate best samplers
    """
    from n2n_ablate.analysis.analyse import analyse
    from n2n_ablate.analysis.records import to_plain
    from n2n_ablate.components.recipe import toml
    from n2n_ablate.errors import StoreError
    from n2n_ablate.report.text.best import best_reasons, best_title, override_line

    opened = chosen.open(study, quiet=printed.quiet)
    if not opened.result.trials:
        msg = f"study '{study}' has no finished trial yet. Run: n2n-ablate study {study}"
        raise StoreError(msg)
    analysis = analyse(opened.result, opened.header)
    best, confirmed = analysis.best, analysis.confirmation is not None
    trials = {each.trial.name: each.trial for each in opened.result.trials}
    recipe = trials.get(best.name, opened.plan.baseline).recipe
    where = options.output_words(chosen.output)
    where += [] if opened.latest else ["--run", opened.journal.key]
    words = ["denoise", "noisy.png", "-o", "denoised.png", "--from-study", study, *where]
    command = shlex.join(["n2n-ablate", *words])
    if printed.as_json:
        about = {"study": study, "profile": opened.plan.profile.name, "run": opened.journal.key}
        more = {"recipe": recipe.to_json(), "command": command}
        show_json({**about, **to_plain(best), **more}, allow_nan=False)
        return
    title = best_title(best, analysis.metric, confirmed=confirmed)
    show(*(f"# {line}" for line in (title, *best_reasons(analysis))), toml(recipe))
    if not printed.quiet:
        override = override_line(best, analysis.study)
        show(*(f"# {line}" for line in filter(None, (command, override))))
    options.say_problems(opened, quiet=printed.quiet)
