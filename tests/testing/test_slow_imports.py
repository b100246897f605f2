"""An import of some seconds is no hang: of a plugin, or of the library that it imports when it is used."""

import pytest
from helpers.program import here

PLUGIN = '''\
import time
{at_import}
from n2n_ablate import hookimpl


class Slow:
    """Mean absolute error by way of a large library."""

    higher_is_better = False

    def measure(self, denoised, clean, noisy):
        {at_use}
        return (denoised - clean).abs().mean(dim=(1, 2, 3))


@hookimpl
def register_metrics(register):
    register("slow", Slow)
'''


@pytest.mark.parametrize("when", [pytest.param("at_import", marks=pytest.mark.slow), "at_use"])
def test_the_limit_of_a_check_leaves_imports_out(when, tmp_path):
    (tmp_path / "large_library.py").write_text("import time\ntime.sleep(3)\n")
    where = f"import sys; sys.path.insert(0, {str(tmp_path)!r}); import large_library"
    code = {"at_import": "", "at_use": "pass", when: where}
    (tmp_path / "slow.py").write_text(PLUGIN.format(**code))
    done = here("check", "slow.py", "--limit", "2", folder=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.slow
def test_a_hang_in_an_import_is_still_one(tmp_path):
    (tmp_path / "slow.py").write_text(PLUGIN.format(at_import="while True: pass", at_use="pass"))
    limit = {"N2N_ABLATE_TIME_LIMIT": "1"}  # of imports twice that
    done = here("check", "slow.py", "--limit", "1", folder=tmp_path, **limit)
    assert done.returncode == 1
    assert "slow.py:2" in done.stdout + done.stderr
