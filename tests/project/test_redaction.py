"""Passwords and tokens: out of every text that a screen, a journal, a tag or a report may hold."""

import json
import subprocess
import sys

import pytest
from helpers.program import here
from helpers.thinning import thinned
from hypothesis import given, settings
from hypothesis import strategies as st

from n2n_ablate import redaction
from n2n_ablate.cli import ui
from n2n_ablate.errors import StoreError
from n2n_ablate.redaction import redact, redact_command, redact_url, remember

PASSWORDS = [
    "secret-word", "two words here", "quo'te-and\"double", "slash/and/more", "at@sign@twice",
    "percent%20sign", "colon:in:it", "hash#and?mark", "ümläut☃", "new\nline-secret", "back\\slash-secret",
    "$HOME-secret", "`tick`-secret", "[brackets]-secret", "ends-with-space ",
]  # fmt: skip
URLS = [
    "postgresql+psycopg://me:{}@127.0.0.1:1/searches",
    "http://me:{}@127.0.0.1:1",
    "postgresql://127.0.0.1:1/searches?user=me&password={}",
]


@pytest.fixture(autouse=True)
def forgetful(monkeypatch):
    monkeypatch.setattr(redaction, "_remembered", set())


@pytest.mark.parametrize("password", PASSWORDS)
@pytest.mark.parametrize("form", URLS)
def test_no_form_of_a_password_stays_in_a_text(password, form):
    url = form.format(password)
    assert password not in redact_url(url)
    remember(url)
    for text in (
        f"the store '{url}' cannot be used",
        f"login failed for {password!r}",
        f"got {url!r} and {json.dumps(password)[1:-1]}, or {json.dumps(url)[1:-1]}",
        redact_command(["n2n-ablate", "study", "x", "--storage", url]),
        redact_command(["n2n-ablate", "study", "x", f"--storage={url}", "--quiet"]),
        str(StoreError(f"the store '{url}': {password}")),
    ):
        shown = redact(text)
        assert password not in shown
        assert repr(password)[1:-1] not in shown


@given(st.text(st.characters(codec="utf-8", exclude_categories=["Cs"]), min_size=6, max_size=30))
@settings(max_examples=200, deadline=None)
def test_whatever_a_password_is_it_does_not_stay_in_a_command(password):
    secret = f"S{password}S"
    shown = redact_command(["n2n-ablate", "study", "x", "--storage", f"db://me:{secret}@h/x", "-q"])
    assert secret not in shown
    assert shown.startswith("n2n-ablate study x --storage ")
    assert shown.endswith(" -q")


@pytest.mark.parametrize(
    "name", ["MLFLOW_TRACKING_TOKEN", "MLFLOW_TRACKING_PASSWORD", "PGPASSWORD"]
)
def test_a_secret_of_the_environment_is_redacted_wherever_it_turns_up(monkeypatch, name):
    monkeypatch.setenv(name, "abc def'ghi")
    assert "abc def'ghi" not in redact("the server says: abc def'ghi is no login")


@pytest.mark.parametrize(
    "text",
    [
        "Authorization: Bearer eyJhbGciOiJIUzI1NiJ9.e30",
        "header {'Authorization': 'Basic bWU6c2VjcmV0d29yZA=='}",
        "connect failed: password='two words' host=x",
        'password="two words"',
        "token=abcdefgh&x=1",
    ],
)
def test_headers_and_settings_are_redacted_by_their_form(text):
    shown = redact(text)
    assert "***" in shown
    for secret in ("eyJ", "bWU6", "two words", "abcdefgh"):
        assert secret not in shown


@pytest.mark.parametrize(
    "text",
    [
        "images/one.png: 512x512",
        "see https://example.org/docs/page for more",
        "the basic sampler is best by 0.1 dB",
        "study 'samplers' (quick): mean@0 and max@1",
        "n2n-ablate study x --set sampler.center=0.2",
    ],
)
def test_other_texts_stay_as_they_are(text):
    assert redact(text) == text


STUDY = """
name = "tiny"
question = "Which centre?"
design = "search"
[baseline]
sampler = { name = "three-by-three", center = 0.01 }
backbone = { name = "zs-n2n", width = 8 }
loss = "residual-consistency"
training = "adam"
[[conditions]]
noise = { name = "gaussian", sigma = 25.0 }
[factors]
"sampler.center" = { low = 0.0, high = 0.5 }
[profiles.quick]
images = ["builtin:camera"]
crop = 20
trials = 2
set = { "training.steps" = 2 }
"""


@pytest.mark.parametrize(
    "password", thinned('a"S3cret"b@c', rare=["S3cret-one", "two 'S3cret' words"])
)
def test_a_study_leaves_no_password_anywhere(tmp_path, monkeypatch, password):
    monkeypatch.setenv("MLFLOW_TRACKING_TOKEN", "T0ken-S3cret")
    (tmp_path / "tiny.toml").write_text(STUDY)
    words = ["--tracking-uri", f"http://me:{password}@127.0.0.1:9", "--output", "out"]
    done = here("study", "tiny.toml", "--trials", "1", *words, folder=tmp_path)
    assert done.returncode == 4, done.stderr
    refused = here(
        *("study", "tiny.toml", "--tracking", "none", "--output", "out"),
        *("--storage", f"postgresql+psycopg://me:{password}@127.0.0.1:9/x"),
        folder=tmp_path,
    )
    assert refused.returncode == 1
    report = here("report", "tiny", "--output", "out", folder=tmp_path)
    texts = [one for run in (done, refused, report) for one in (run.stdout, run.stderr)]
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert any(path.suffix == ".html" for path in files)
    assert any(path.suffix == ".jsonl" for path in files)
    for content in (*(text.encode() for text in texts), *(path.read_bytes() for path in files)):
        assert b"S3cret" not in content


BUG = """
import sys
from n2n_ablate import cli
def fail():
    raise RuntimeError(f"cannot open {sys.argv[-1]}")
cli._command = fail
cli.main()
"""


def test_the_traceback_of_a_bug_holds_no_password(tmp_path):
    url = "postgresql://me:very S3cret'word@127.0.0.1/x"
    done = subprocess.run(
        [sys.executable, "-c", BUG, "--storage", url],
        capture_output=True, text=True, timeout=60, check=False, cwd=tmp_path,
    )  # fmt: skip
    assert done.returncode == 1
    assert "RuntimeError: cannot open postgresql://***@127.0.0.1/x" in done.stderr
    assert "S3cret" not in done.stderr


def test_the_pages_server_is_not_told_a_password_on_its_command_line(tmp_path):
    words = ui._command(tmp_path / "artifacts", 5000)
    assert not [word for word in words if "://" in word and not word.startswith("file:")]
