"""The example notebook: its code cells are run as they stand."""

import json
import linecache
from pathlib import Path

import matplotlib as mpl
import pytest

NOTEBOOK = Path(__file__).resolve().parents[2] / "examples" / "study_in_python.ipynb"


@pytest.fixture(scope="module")
def cells():
    notebook = json.loads(NOTEBOOK.read_text(encoding="utf-8"))
    return ["".join(cell["source"]) for cell in notebook["cells"] if cell["cell_type"] == "code"]


@pytest.mark.timeout(600)
def test_the_notebook_runs_and_says_what_its_text_says(cells, folder, capsys):
    from matplotlib import pyplot

    mpl.use("Agg")
    names = {"__name__": "notebook"}
    for number, cell in enumerate(cells, 1):
        name = f"<cell {number}>"  # as a kernel does it, so that sources can be read
        linecache.cache[name] = (len(cell), None, cell.splitlines(keepends=True), name)
        exec(compile(cell, name, "exec"), names)  # noqa: S102
    pyplot.close("all")
    result, rows = names["result"], names["rows"]
    assert len(result.to_frame()) == 3 * 4
    assert set(rows.to_frame()["trial"]) == {"baseline", "sampler=even-odd-rows"}
    assert [record.contrast.name for record in result.contrasts] == [
        "backbone.width=4",
        "backbone.width=8",
    ]
    assert names["psnr"](names["denoised"]) > names["psnr"](names["noisy"]) + 3
    assert (folder / "width.html").stat().st_size > 10_000
    assert "denoised" in capsys.readouterr().out
