"""The program in processes forked from one that has imported everything, so that a kill meets its work.

Half a second a process instead of the seconds that imports take.
"""

import contextlib
import json
import os
import subprocess
import sys

SERVER = """
import json, os, signal, sys, time
import n2n_ablate.cli.study, n2n_ablate.runner.run, n2n_ablate.report.write, n2n_ablate.runner.replay
import n2n_ablate.tracking.client
n2n_ablate.tracking.client._load()
import matplotlib.pyplot, mlflow.store.tracking.sqlalchemy_store, n2n_ablate.search.search, torch._dynamo
from n2n_ablate.cli import main
signal.signal(signal.SIGINT, signal.default_int_handler)

def run(words, environment):
    os.environ.update(environment)
    sys.argv = ["n2n-ablate", *words]
    for number, name in enumerate(("out", "err"), 1):
        os.dup2(os.open(name, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), number)
    try:
        main()
    except SystemExit as end:
        if isinstance(end.code, str):
            print(end.code, file=sys.stderr)
        return end.code if isinstance(end.code, int) else int(end.code is not None)
    except BaseException:
        sys.excepthook(*sys.exc_info())
        return 99
    return 0

for line in sys.stdin:
    words, folder, seconds, environment = json.loads(line)
    begun, child = time.monotonic(), os.fork()
    if not child:
        os.chdir(folder)
        status = run(words, environment)
        sys.stdout.flush(); sys.stderr.flush()
        os._exit(status)
    while not (ended := os.waitpid(child, os.WNOHANG))[0]:
        if seconds is not None and time.monotonic() - begun > seconds:
            os.kill(child, signal.SIGKILL)
            ended = os.waitpid(child, 0)
            break
        time.sleep(0.005)
    print(json.dumps([os.waitstatus_to_exitcode(ended[1]), time.monotonic() - begun]), flush=True)
"""
KILLED = -9


class Forked:
    """Runs commands of the program."""

    def __init__(self, process):
        self._process = process

    def run(self, *words, folder, kill_after=None, **environment):
        """Return exit status and seconds; `KILLED` if it took longer than `kill_after`."""
        request = [list(map(str, words)), str(folder), kill_after, environment]
        self._process.stdin.write(json.dumps(request) + "\n")
        self._process.stdin.flush()
        return tuple(json.loads(self._process.stdout.readline()))


@contextlib.contextmanager
def running():
    with subprocess.Popen(
        [sys.executable, "-W", "ignore", "-c", SERVER],
        env=os.environ | {"OMP_NUM_THREADS": "1", "COLUMNS": "100"},
        text=True,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as process:
        try:
            yield Forked(process)
        finally:
            process.kill()
