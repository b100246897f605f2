"""Whether a Ray cluster is still there. Ray itself would end this process without a word of ours."""

from __future__ import annotations

import socket
import time

from n2n_ablate.errors import ExecutorError

_AWAY = 20.0  # seconds that the first node may not answer; Ray's limit is 60
_ANSWER = 2.0  # seconds for a connection


class ClusterHealth:
    """Looks whether the parts of a cluster answer that this process cannot do without.

    Args:
        head: HOST:PORT of the service that knows the cluster, on its first node.
        local: What the node of this machine listens at: a socket's path, or tcp://HOST:PORT.
    """

    def __init__(self, head: str, local: str) -> None:
        self._head, self._local = head, local
        self._since = 0.0  # since when the first node has not answered, 0 if it does

    def beats(self) -> bool:
        """Say whether the cluster answers; if not, it may again soon. Takes a millisecond if it does."""
        if _refused(self._local):
            raise ExecutorError(_gone("Ray on this machine was ended"))
        why, now = unanswered(self._head), time.monotonic()
        self._since = (self._since or now) if why else 0.0
        if why and now - self._since > _AWAY:
            raise ExecutorError(_gone(f"its first node, '{self._head}', does not answer ({why})"))
        return not why


def _gone(why: str) -> str:
    return (
        f"the Ray cluster is gone: {why}. Finished fits are saved; to resume, run the same command."
    )


def unanswered(address: str, patience: float = _ANSWER) -> str:
    """Return why nobody takes a connection at HOST:PORT within seconds, empty if somebody does."""
    host, _, port = address.rpartition("://")[2].rpartition(":")
    try:
        socket.create_connection((host, int(port)), patience).close()
    except (OSError, OverflowError) as error:
        return getattr(error, "strerror", None) or str(error)
    return ""


def _refused(address: str) -> bool:
    """Say whether a socket of this machine has lost whoever listened."""
    if address.startswith("tcp://"):
        return unanswered(address) != ""
    try:
        with socket.socket(socket.AF_UNIX) as client:
            client.settimeout(_ANSWER)
            client.connect(address)
    except (ConnectionRefusedError, FileNotFoundError):
        return True
    except OSError:  # it has no time at the moment
        return False
    return False
