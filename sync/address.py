"""The addresses of peers, as people write them. Pure."""

from typing import Final
from urllib.parse import urlsplit

_FORM: Final = "http://host:port or https://host:port"


def checked_address(text: str) -> str:
    """An address of a peer, without a slash at its end. Raises: ValueError."""
    try:
        url = urlsplit(text)
        port = url.port
    except ValueError as error:
        raise ValueError(f"{text} is no address of a peer, {_FORM}: {error}") from error
    has_more = url.path not in ("", "/") or url.query or url.fragment or "@" in url.netloc
    if url.scheme not in ("http", "https") or not url.hostname or has_more or port == 0 or not text.isprintable():
        raise ValueError(f"{text} is no address of a peer, {_FORM}")
    return text.rstrip("/")


def host_and_port(text: str) -> tuple[str, int]:
    """Of ``host:port``, or ``[host]:port`` for IPv6; 1 <= port < 65536. Raises: ValueError."""
    try:
        url = urlsplit(f"//{text}")
        host, port = url.hostname, url.port
    except ValueError as error:
        raise ValueError(f"{text} is not host:port: {error}") from error
    if not host or not port or url.netloc != text or "@" in text or " " in text:
        raise ValueError(f"{text} is not host:port")
    return host, port
