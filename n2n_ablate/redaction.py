"""Takes passwords and tokens out of texts, before these reach a screen, a journal, a tag or a report."""

from __future__ import annotations

import os
import re
import shlex
import sys
from collections.abc import Iterable
from urllib.parse import unquote

STORAGE = "N2N_ABLATE_STORAGE"
"""The environment variable that may name the storage of searches instead of `--storage`."""

_URLS = ("MLFLOW_TRACKING_URI", "MLFLOW_REGISTRY_URI", STORAGE)
_SECRETS = ("MLFLOW_TRACKING_PASSWORD", "MLFLOW_TRACKING_TOKEN", "PGPASSWORD")
_HIDDEN = "***"
_LEAST = 4  # characters; shorter ones would hide half of a text, and are taken out of addresses
_KEYS = r"(?i)\b(password|passwd|passfile|pwd|token|secret|api_?key|sslpassword)"
_remembered: set[str] = set()


def remember(url: str) -> None:
    """Take the password of an address out of every text from now on, alone too."""
    if "@" in url or "=" in url:
        _remembered.add(url)


def redact(text: str) -> str:
    """Return a text without the logins of addresses, passwords and tokens in it.

    Passwords that hold spaces, quotes or an `@` are taken out where their address was remembered,
    stands on the command line, or in the environment.
    """
    urls = _known_urls()
    for url in sorted(urls, key=len, reverse=True):
        text = text.replace(url, redact_url(url))
    for secret in sorted(_known_secrets(urls), key=len, reverse=True):
        text = re.sub(rf"(?<!\w){re.escape(secret)}(?!\w)", _HIDDEN, text)
    return _by_form(re.sub(r"//[^\s'\"]*@", f"//{_HIDDEN}@", text))


def redact_url(url: str) -> str:
    """Return an address without its login, whatever characters that has."""
    return _by_form(re.sub(r"//.*@", f"//{_HIDDEN}@", url, flags=re.DOTALL))


def redact_command(words: Iterable[str]) -> str:
    """Return a command as one would type it, without the logins of addresses in it."""
    return shlex.join(redact(redact_url(word) if "://" in word else word) for word in words)


def _by_form(text: str) -> str:
    text = re.sub(rf"{_KEYS}=('[^']*'|\"[^\"]*\"|[^&\s'\"]+)", rf"\1={_HIDDEN}", text)
    return re.sub(r"(?i)\b(bearer|basic)\s+[\w+/=.~-]{8,}", rf"\1 {_HIDDEN}", text)


def _known_urls() -> set[str]:
    given = (word[word.index("=") + 1 :] if word[:2] == "--" and "=" in word else word
             for word in sys.argv if "://" in word)  # fmt: skip
    named = (os.environ.get(name, "").strip() for name in _URLS)
    return {url for url in (*_remembered, *given, *named) if "://" in url}


def _known_secrets(urls: Iterable[str]) -> set[str]:
    secrets = {os.environ.get(name, "") for name in _SECRETS}
    for url in urls:
        if login := re.search(r"//[^:@]*:(.*)@", url, flags=re.DOTALL):
            secrets |= {login[1], unquote(login[1])}
        values = {value for _, value in re.findall(rf"{_KEYS}=([^&]+)", url)}
        secrets |= values | {unquote(value) for value in values}
    # As texts of programs show them: in quotes, with escapes.
    secrets |= {form for one in tuple(secrets) for form in (shlex.quote(one), repr(one)[1:-1])}
    return {one for one in secrets if len(one) >= _LEAST}
