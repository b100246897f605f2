"""Writes our rows into docs/results/scoreboard.md: the latest run of `real-noise` on CC15.

    python benchmarks/scoreboard.py OUTPUT             write them
    python benchmarks/scoreboard.py OUTPUT --print     print them

OUTPUT is the output folder of `n2n-ablate study real-noise --pairs cc:`. `--pairs` says where CC15 lies.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from scipy import stats

import n2n_ablate
from n2n_ablate.diagnostics.measured_noise import noise_figures
from n2n_ablate.engine.measured import read_pairs
from n2n_ablate.report.tables import row_names
from n2n_ablate.study import MeasuredPairs

PAGE = Path(__file__).parent.parent / "docs" / "results" / "scoreboard.md"
BEGIN, END = "<!-- ours -->\n", "<!-- /ours -->\n"
HEAD = "| method | protocol | PSNR | 95 % CI | source |\n|---|---|---|---|---|"
PUBLISHED = "| a denoiser of 2017 (Xu, Zhang, Zhang and Feng, ICCV) | as published | 36.88 | | as published |"


def rows(output: Path, pairs: str) -> str:
    """Return the table of CC15: ours with intervals over scenes, and what is published."""
    whole = read_pairs(MeasuredPairs(pairs), 0).scenes
    noisy = [noise_figures(scene.image.pixels, scene.shots).psnr for scene in whole]
    lines = [HEAD, _row("the noisy images", "whole images", noisy, "no training"), PUBLISHED]
    result = n2n_ablate.load("real-noise", output=output)
    (condition,) = result.analysis.conditions
    names, scope = row_names(condition), condition.scope
    (height, width), (other_height, other_width) = scope.smallest, scope.largest
    assert (height, width) == (other_height, other_width), "CC15 has images of one size"
    crop = "whole images" if (height, width) == (512, 512) else f"centre {width}x{height}"
    untrained = result.record.reference_methods
    psnr = {name: [figures["psnr"] for figures in untrained[name].values()] for name in untrained}
    frame = result.to_frame(references=True)
    for trial, fits in frame.groupby("trial", sort=False):
        psnr[f"ZS-N2N, {names.get(str(trial), str(trial))}"] = list(
            fits.groupby("image").psnr.mean()
        )
    for name, values in sorted(psnr.items(), key=lambda item: np.mean(item[1])):
        trained = name.startswith("ZS-N2N")
        steps = f", {scope.steps:,} steps, {scope.n_seeds} seed{'s' * (scope.n_seeds > 1)}"
        lines.append(_row(name, crop + steps * trained, values, "`real-noise`"))
    return "\n".join(lines) + "\n"


def _row(name: str, protocol: str, values: list[float], source: str) -> str:
    mean, count = np.mean(values), len(values)
    half = stats.t.ppf(0.975, count - 1) * np.std(values, ddof=1) / count**0.5
    interval = f"{mean - half:.2f} to {mean + half:.2f}"
    return f"| {name} | {protocol} | {mean:.2f} | {interval} | {source} |"


def main() -> None:
    """Write the rows into the page, or print them."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("output", type=Path)
    parser.add_argument("--pairs", default="cc:")
    parser.add_argument("--print", action="store_true", dest="shown")
    given = parser.parse_args()
    table = rows(given.output, given.pairs)
    if given.shown:
        print(table, end="")
        return
    text = PAGE.read_text(encoding="utf-8")
    before, _, rest = text.partition(BEGIN)
    PAGE.write_text(f"{before}{BEGIN}\n{table}\n{END}{rest.partition(END)[2]}", encoding="utf-8")


if __name__ == "__main__":
    main()
