"""PostgreSQL's server on a free port of this machine, in a folder of its own."""

import contextlib
import os
import pwd
import shutil
import socket
import subprocess
import tempfile
from pathlib import Path

import pytest

INSTALL = "PostgreSQL's server is not installed: apt-get install -y postgresql"


def programs():
    """The folder of PostgreSQL's server programs, None where they are not installed."""
    debian = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    found = debian[-1] if debian else shutil.which("initdb")
    return Path(found).parent if found else None


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Postgres:
    """A server that can be stopped and started again."""

    def __init__(self, folder, binaries):
        self.folder, self.port, self._binaries = folder, free_port(), binaries
        # It refuses to run as root; Debian's package makes a user for it.
        self._user = "postgres" if os.geteuid() == 0 else None
        if self._user:
            owner = pwd.getpwnam(self._user)
            os.chown(folder, owner.pw_uid, owner.pw_gid)
        (self.folder / "password").write_text("secret")
        self._program(
            *("initdb", "-D", self.folder / "data", "-U", "ablate", "-A", "scram-sha-256"),
            *("--pwfile", self.folder / "password", "-E", "UTF8", "--no-sync"),
        )

    def url(self, database="postgres", password="secret"):
        return f"postgresql+psycopg://ablate:{password}@127.0.0.1:{self.port}/{database}"

    def start(self):
        settings = f"-p {self.port} -k {self.folder} -c listen_addresses=127.0.0.1 -c fsync=off"
        self._control("start", "-l", self.folder / "log", "-o", settings)

    def stop(self):
        self._control("stop", "-m", "fast")

    def create(self, name, like="template1"):
        """Make a database, empty or as another one, and return its address."""
        import psycopg

        plain = self.url().replace("+psycopg", "")
        with psycopg.connect(plain, autocommit=True) as connection:
            connection.execute(f'create database "{name}" template "{like}"')
        return self.url(name)

    def _control(self, what, *more):
        self._program("pg_ctl", what, "-D", self.folder / "data", "-w", *more)

    def _program(self, name, *words):
        done = subprocess.run(
            [self._binaries / name, *words],
            user=self._user,
            cwd=self.folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,  # a server that was started keeps it open
            stderr=subprocess.DEVNULL,
            timeout=60,
            check=False,
        )
        assert done.returncode == 0, (name, words)


@contextlib.contextmanager
def running():
    """Start a server; skip the test where there is none to start."""
    binaries = programs()
    if binaries is None:
        pytest.skip(INSTALL)
    pytest.importorskip("psycopg", reason="pip install 'n2n-ablate[postgres]'")
    with tempfile.TemporaryDirectory() as folder:  # pytest's own folders are closed to other users
        server = Postgres(Path(folder), binaries)
        server.start()
        try:
            yield server
        finally:
            with contextlib.suppress(AssertionError):  # a test may have stopped it
                server.stop()
