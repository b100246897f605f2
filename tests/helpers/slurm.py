"""Slurm of a single node on the loopback, for as long as a test runs it."""

import contextlib
import os
import secrets
import shutil
import socket
import subprocess
import time
from pathlib import Path

PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch", "squeue")
SBIN = f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"


def missing():
    """Return why there can be no Slurm here, empty if there can."""
    lacking = [name for name in PROGRAMS if shutil.which(name, path=SBIN) is None]
    if lacking:
        return f"no {', '.join(lacking)} here: apt-get install -y slurm-wlm munge installs it"
    return "" if os.geteuid() == 0 else "slurmd needs to be root"


def _port():
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


@contextlib.contextmanager
def cluster(folder: Path):
    """Start a cluster of this machine; yield the environment in which its commands find it."""
    host, socket_file = socket.gethostname().partition(".")[0], folder / "munge.socket"
    for name in ("state", "spool"):
        (folder / name).mkdir()
    folder.chmod(0o755)
    key = folder / "munge.key"
    key.write_bytes(secrets.token_bytes(128))
    key.chmod(0o400)
    (folder / "slurm.conf").write_text(f"""
ClusterName=test
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={_port()}
SlurmdPort={_port()}
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket={socket_file}
CredType=cred/munge
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
MpiDefault=none
ReturnToService=2
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
NodeName={host} NodeAddr=127.0.0.1 CPUs={os.cpu_count()} State=UNKNOWN
PartitionName=all Nodes=ALL Default=YES MaxTime=INFINITE State=UP
""")
    munged = [
        *("munged", "--foreground", "--force", f"--socket={socket_file}", f"--key-file={key}"),
        *(f"--pid-file={folder}/munged.pid", f"--seed-file={folder}/munged.seed"),
    ]
    environment = os.environ | {"PATH": SBIN, "SLURM_CONF": str(folder / "slurm.conf")}
    started = []
    try:
        for words in (munged, ["slurmctld", "-D"], ["slurmd", "-D"]):
            with (folder / f"{words[0]}.out").open("wb") as out:
                started.append(
                    subprocess.Popen(words, env=environment, stdout=out, stderr=subprocess.STDOUT)
                )
            _wait_for(socket_file.exists, folder)
        _wait_for(lambda: "idle" in _asked("sinfo", "-h", environment=environment), folder)
        yield environment
    finally:
        for process in reversed(started):
            process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(20)
            process.kill()


def ended(environment):
    """Wait until no job is left."""
    _wait_for(lambda: not _asked("squeue", "-h", environment=environment).strip(), None, 300)


def _asked(*words, environment):
    done = subprocess.run(words, env=environment, capture_output=True, text=True, check=False)
    return done.stdout if done.returncode == 0 else "no answer"


def _wait_for(condition, folder, seconds=60):
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            said = [path.read_text()[-600:] for path in folder.glob("*.out")] if folder else []
            raise AssertionError(said)
        time.sleep(0.2)
