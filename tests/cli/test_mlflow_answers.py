"""Servers that refuse, that are unwell, that are not MLflow: study, doctor and ui say the same of them."""

import base64
import socket

import pytest
from helpers.fixed_answer_server import answering, speaking
from helpers.program import here

from n2n_ablate.cli.doctor import BROKEN, OK, stores
from n2n_ablate.errors import StoreError, StoreUnavailableError
from n2n_ablate.tracking.store import MlflowStore

pytestmark = pytest.mark.filterwarnings("ignore")  # mlflow's imports warn about their own imports

NOT_MLFLOW = "it answers, but not as MLflow's server does"
SEEN = {"experiments": [{"experiment_id": "0", "name": "Default", "lifecycle_stage": "active"}]}
MISSING = {"error_code": "RESOURCE_DOES_NOT_EXIST", "message": "no such experiment"}


def everybody(folder, url):
    """Return what a study or sync, the doctor, and ui are told by a server: all the same."""
    with pytest.raises(StoreError) as caught:
        MlflowStore(folder / "mlruns", url).experiment("tiny", "")
    (finding,) = stores.tracking(folder, url)
    shown = here("ui", "--no-browser", folder=folder, MLFLOW_TRACKING_URI=url)
    assert finding.state == BROKEN
    assert "n2n-ablate sync later" in finding.advice
    assert shown.returncode == 1
    assert str(caught.value) == finding.text
    assert shown.stderr == f"error: {finding.text}\n"
    assert "secret" not in shown.stderr + shown.stdout + finding.text
    return caught.value


def signed(url):
    return url.replace("//", "//me:secret@")


@pytest.mark.parametrize(
    ("status", "body", "kind", "message"),
    [
        (200, "<html>Welcome</html>", StoreUnavailableError, NOT_MLFLOW),
        (200, [], StoreUnavailableError, NOT_MLFLOW),
        (200, {}, StoreUnavailableError, NOT_MLFLOW),
        (200, {"experiments": "none"}, StoreUnavailableError, NOT_MLFLOW),
        (200, {"experiments": [{}]}, StoreUnavailableError, NOT_MLFLOW),
        (404, "<html>Not here</html>", StoreError, f"{NOT_MLFLOW} (404): is the address right?"),
        (401, "You are not authenticated", StoreError, "it refuses the login: check the login in"),
        (403, "Forbidden", StoreError, "it refuses the access: check the login in the address"),
        (429, "", StoreUnavailableError, "it answers 429"),
        (503, "", StoreUnavailableError, "it answers 503"),
    ],
)
def test_an_answer_that_is_not_mlflows_is_told_by_everybody(folder, status, body, kind, message):
    with answering(status, body) as server:
        told = everybody(folder, signed(server.url))
        place = server.url.replace("//", "//***@")
    assert type(told) is kind
    assert str(told).startswith(f"MLflow's store '{place}' cannot be used: {message}")


def test_a_server_that_is_not_there_is_told_by_everybody(folder):
    with socket.create_server(("127.0.0.1", 0)) as gone:
        port = gone.getsockname()[1]
    told = str(everybody(folder, f"http://me:secret@127.0.0.1:{port}"))
    assert (
        told == f"MLflow's store 'http://***@127.0.0.1:{port}' cannot be used: connection refused"
    )


def test_what_does_not_speak_http_is_told_by_everybody(folder):
    with speaking(b"SSH-2.0-OpenSSH_9.2\r\n") as url:
        assert NOT_MLFLOW in str(everybody(folder, url))


@pytest.mark.parametrize("url", ["http://[::1", "http://me:secret/x@127.0.0.1:1"])
def test_what_is_no_address_is_told_by_everybody_before_anything_is_trained(folder, url):
    assert str(everybody(folder, url)).endswith("cannot be used: that is no address")


def test_a_server_that_names_a_time_is_asked_again_sooner(folder):
    with answering(503, "", Retry_After="3600") as server:
        with pytest.raises(StoreUnavailableError, match="it answers 503"):
            MlflowStore(folder, server.url).experiment("tiny", "")
        assert len(server.asked) == 2


BASIC = f"Basic {base64.b64encode(b'me:secret').decode()}"
USER = {"MLFLOW_TRACKING_USERNAME": "me", "MLFLOW_TRACKING_PASSWORD": "secret"}


@pytest.mark.parametrize(
    ("environment", "place", "wanted"),
    [
        (USER, "", BASIC),
        ({}, "me:secret@", BASIC),
        ({"MLFLOW_TRACKING_TOKEN": "secret"}, "", "Bearer secret"),
    ],
    ids=["variables", "address", "token"],
)
def test_everybody_gives_the_login_and_nobody_shows_it(
    folder, monkeypatch, environment, place, wanted
):
    for name, value in environment.items():
        monkeypatch.setenv(name, value)

    def guarded(path, headers):
        if headers.get("Authorization") != wanted:
            return 401, "You are not authenticated"
        return (200, SEEN) if path.endswith("/search") else (404, MISSING)

    with answering(guarded) as server:
        url = server.url.replace("//", f"//{place}")
        assert MlflowStore(folder / "mlruns", url).experiment_id("tiny") is None
        (finding,) = stores.tracking(folder, url)
        shown = here("ui", "--no-browser", folder=folder, MLFLOW_TRACKING_URI=url)
        assert shown.stdout == f"{server.url}\n", shown.stderr
    assert finding.state == OK
    assert "secret" not in finding.text + shown.stderr


def test_a_server_that_shows_no_experiment_is_mlflow_all_the_same(folder):
    def empty(path, headers):
        return (200, {}) if path.endswith("/search") else (404, MISSING)

    with answering(empty) as server:
        (finding,) = stores.tracking(folder, server.url)
    assert finding.state == OK
