"""The program as a user starts it, in a process of its own or, quicker, in this one."""

import contextlib
import io
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

from n2n_ablate.cli import main

SEEN = {"COLUMNS": "100", "OMP_NUM_THREADS": "1"}
HEEDED = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def command(*words):
    """The command line that starts the program in a new process."""
    return [sys.executable, "-m", "n2n_ablate", *map(str, words)]


def run(*words, folder, start=command, environment=None, **env):
    """Run the program in a process of its own; no traceback is ever allowed.

    `start` makes the command line of the words, `environment` replaces that of the tests.
    """
    done = subprocess.run(
        start(*words),
        cwd=folder,
        env=(os.environ if environment is None else environment) | SEEN | env,
        capture_output=True,
        text=True,
        timeout=150,
        check=False,
    )
    assert "Traceback" not in done.stderr, done.stderr
    return done


def here(*words, folder, out=None, err=None, **env):
    """Run the program in this process, which spares the seconds that imports take.

    What it writes to streams of the caller's is not returned.
    """
    streams = (out, io.StringIO()), (err, io.StringIO())
    out, err = (own or new for own, new in streams)
    kept = dict(os.environ), sys.argv, Path.cwd(), [signal.getsignal(kind) for kind in HEEDED]
    os.environ.update(SEEN | env)
    os.chdir(folder)
    sys.argv = ["n2n-ablate", *map(str, words)]
    code = 0
    try:
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            main()
    except SystemExit as ended:
        code = ended.code
        if isinstance(code, str):  # what `sys.exit("a line")` prints
            err.write(f"{code}\n")
            code = 1
    finally:
        os.environ.clear()
        os.environ.update(kept[0])
        sys.argv = kept[1]
        os.chdir(kept[2])
        for kind, handler in zip(HEEDED, kept[3], strict=True):
            signal.signal(kind, handler)
    said = (new.getvalue() for _, new in streams)
    return subprocess.CompletedProcess(words, code or 0, *said)


def table_of(done):
    """The figures that `study --json` tells, but for what depends on the clock."""

    def plain(value):
        if isinstance(value, dict):
            timed = {key for key in value if "seconds" in key or key == "pareto"}
            return {key: plain(item) for key, item in value.items() if key not in timed}
        return [plain(item) for item in value] if isinstance(value, list) else value

    return plain(json.loads(done.stdout)["conditions"])
