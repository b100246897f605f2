"""A study needs nothing that only Linux or POSIX has: their names are taken away before it starts.

Python itself still runs on POSIX, so this shows that each use has another way, not that Windows works.
"""

import subprocess
import sys

import pytest

WITHOUT = """
import importlib, os, signal, socket, sys

for name in "torch filelock optuna sqlalchemy scipy.stats skimage.data rich.console typer platformdirs pooch".split():
    importlib.import_module(name)  # others' packages look at the system by themselves
gone = {
    os: "fork forkpty killpg setsid getuid geteuid getgid getlogin getppid getpgid nice uname "
        "sched_getaffinity register_at_fork sysconf fchmod mkfifo getloadavg",
    signal: "SIGKILL SIGHUP SIGURG SIGUSR1 SIGUSR2 SIGALRM SIGCHLD pthread_kill setitimer alarm",
    socket: "AF_UNIX",
}
for module, names in gone.items():
    for name in names.split():
        if hasattr(module, name):
            delattr(module, name)
for name in "fcntl resource pwd grp termios tty pty readline".split():
    sys.modules[name] = None
import builtins, pathlib
opened = builtins.open
def open_without_proc(file, *args, **kwargs):
    if str(file).startswith(("/proc", "/sys")):
        raise FileNotFoundError(file)
    return opened(file, *args, **kwargs)
builtins.open = open_without_proc
pathlib.io.open = open_without_proc
from n2n_ablate.cli import main
sys.argv = ["n2n-ablate", *sys.argv[1:]]
main()
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    "words",
    [
        [
            "study",
            "center-weight",
            "--profile",
            "demo",
            "--set",
            "training.steps=2",
            "--tracking",
            "none",
        ],
        ["plan", "samplers", "--profile", "demo"],
        ["doctor"],
        ["ui", "--help"],
    ],
    ids=lambda words: words[0],
)
def test_a_command_works_without_what_only_posix_has(words, folder):
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT, *words],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stdout + done.stderr
