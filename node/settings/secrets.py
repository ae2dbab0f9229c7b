"""Secrets stand in files of their own, never in settings, variables or arguments: settings end up in tickets."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from ledger.errors import CallerError

SECRET_WORDS: Final = ("password", "passphrase", "secret", "key.pem", "sasl.oauthbearer.config")
SECRET_BYTES_MAX: Final = 65_536


class SecretInline(CallerError, ValueError):
    """A secret stands in the settings themselves. Put it into a file and give the file's path."""


def checked_url(url: str) -> str:
    """`url` if it is one of Postgres and holds no password. Raises: SecretInline, ValueError."""
    if url == "embedded":
        return url
    parts = urlsplit(url)
    if parts.scheme not in ("postgresql", "postgres"):
        raise ValueError("is neither `embedded` nor a postgresql:// URL")
    return _without_password(url, "postgres.url_file")


def checked_replica(url: str) -> str:
    """As `checked_url`, of a replica, or empty. Raises: SecretInline, ValueError."""
    if url and urlsplit(url).scheme not in ("postgresql", "postgres"):
        raise ValueError("is no postgresql:// URL")
    return _without_password(url, "api.postgres_url_file")


def _without_password(url: str, instead: str) -> str:
    parts = urlsplit(url)
    if parts.password is not None or "password=" in parts.query:
        raise SecretInline(f"holds a password; put the URL into a file and give it as {instead}")
    return url


def checked_properties(properties: Mapping[Any, Any]) -> dict[str, str]:
    """Client properties as strings. Raises: SecretInline where a secret one is not given as `<property>_file`."""
    checked = {}
    for name, value in properties.items():
        if not isinstance(name, str) or not isinstance(value, str | int | bool | float):
            raise ValueError(f"{name} is a string, number or boolean (quote names that hold dots)")
        if any(word in name for word in SECRET_WORDS) and not name.endswith("_file"):
            raise SecretInline(f"{name} is a secret; put it into a file and give its path as {name}_file")
        checked[name] = str(value).lower() if isinstance(value, bool) else str(value)
    return checked


def with_secrets(properties: Mapping[str, str]) -> dict[str, str]:
    """Client properties with every `<property>_file` replaced by `<property>`. Raises: OSError, ValueError."""
    return {
        name.removesuffix("_file"): read_secret(Path(value)) if name.endswith("_file") else value
        for name, value in properties.items()
    }


def read_secret(file: Path) -> str:
    """The file's content without the newline at its end. Raises: OSError, ValueError (too long, not text)."""
    with file.open("rb") as stream:
        raw = stream.read(SECRET_BYTES_MAX + 1)
    if len(raw) > SECRET_BYTES_MAX:
        raise ValueError(f"{file} is over {SECRET_BYTES_MAX} bytes, which no secret is")
    return raw.decode().rstrip("\r\n")
