"""Tokens of management: who may do what. The node keeps their hashes; a token is shown once, to who made it.

A token is 32 random bytes, so its SHA-256 tells nothing of it and needs no salt.
"""

import json
import secrets
import time
from base64 import urlsafe_b64encode
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from hashlib import sha256
from hmac import compare_digest
from pathlib import Path
from typing import Final

from node.files import replace_file

VIEWER: Final = "viewer"
OPERATOR: Final = "operator"
ADMIN: Final = "admin"
ROLES: Final = (VIEWER, OPERATOR, ADMIN)
"""Each may do what those before it may."""
PREFIX: Final = "momus_"
TOKENS_MAX: Final = 1_000
TOKEN_LENGTH_MAX: Final = 256
NAME_LENGTH_MAX: Final = 64
_BYTES_MAX: Final = 1 << 20


class TokensUnusable(Exception):
    """The file of tokens cannot be read or changed so; the message says why."""


@dataclass(frozen=True, slots=True)
class Token:
    """`name` says who acts. `digest`: SHA-256 of the token, hex. Times are ms since 1970; expiry 0: never."""

    name: str
    role: str
    digest: str
    made_at_ms: int
    expires_at_ms: int = 0

    def may(self, role: str) -> bool:
        """Whether what needs `role` may be done with it."""
        return ROLES.index(self.role) >= ROLES.index(role)


class Tokens:
    """The file of one node. Whoever changes it holds the home; the admin process sees a change at its next request."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._stamp: tuple[int, int] | None = None
        self._tokens: Sequence[Token] = ()

    def all(self) -> Sequence[Token]:
        """As the file has them; none without a file. Raises: TokensUnusable."""
        try:
            stat = self._path.stat()
            stamp = (stat.st_mtime_ns, stat.st_ino)
            if stamp != self._stamp:
                self._tokens = _tokens(self._path)
                self._stamp = stamp
        except FileNotFoundError:
            self._stamp, self._tokens = None, ()
        except (OSError, ValueError, TypeError) as error:
            raise TokensUnusable(f"{self._path} cannot be read: {error}.") from error
        return self._tokens

    def holder(self, token: str, now_ms: int | None = None) -> Token | None:
        """Whose it is; None: nobody's, or nobody's any more. Raises: TokensUnusable."""
        now_ms = time.time_ns() // 1_000_000 if now_ms is None else now_ms
        digest = _digest(token) if len(token) <= TOKEN_LENGTH_MAX else ""
        found = None
        for known in self.all():  # all of them, so that the time says nothing of which
            if compare_digest(known.digest, digest):
                found = known
        return found if found is not None and not 0 < found.expires_at_ms <= now_ms else None

    def add(self, name: str, role: str, valid_for_ms: int = 0) -> str:
        """A new token; nobody can tell it later. Raises: TokensUnusable, OSError."""
        known = self.all()
        if not name or len(name) > NAME_LENGTH_MAX or not name.isprintable():
            raise TokensUnusable(f"A name has 1 to {NAME_LENGTH_MAX} characters that can be printed.")
        if any(each.name == name for each in known):
            raise TokensUnusable(f"There is a token of {name} already: remove it first.")
        if len(known) >= TOKENS_MAX:
            raise TokensUnusable(f"There are {TOKENS_MAX} tokens already.")
        now_ms = time.time_ns() // 1_000_000
        token = PREFIX + urlsafe_b64encode(secrets.token_bytes(32)).decode().rstrip("=")
        made = Token(name, role, _digest(token), now_ms, now_ms + valid_for_ms if valid_for_ms else 0)
        self._write([*known, made])
        return token

    def remove(self, name: str) -> None:
        """From now on it opens nothing. Raises: TokensUnusable, OSError."""
        kept = [each for each in self.all() if each.name != name]
        if len(kept) == len(self.all()):
            raise TokensUnusable(f"There is no token of {name}.")
        self._write(kept)

    def _write(self, tokens: Sequence[Token]) -> None:
        replace_file(self._path, json.dumps([asdict(each) for each in tokens], indent=1).encode(), mode=0o600)
        self._stamp = None


def _digest(token: str) -> str:
    return sha256(token.encode(errors="replace")).hexdigest()


def _tokens(path: Path) -> Sequence[Token]:
    """Raises: OSError, ValueError, TypeError."""
    with path.open("rb") as stream:
        raw = stream.read(_BYTES_MAX + 1)
    if len(raw) > _BYTES_MAX:
        raise ValueError(f"it has over {_BYTES_MAX} bytes")
    found = [Token(**document) for document in json.loads(raw)]
    for each in found:
        if each.role not in ROLES or len(bytes.fromhex(each.digest)) != 32:
            raise ValueError(f"the token of {each.name} has no role or no digest")
        if not isinstance(each.name, str) or type(each.expires_at_ms) is not int:
            raise ValueError("a token has no name or no time")
    return found
