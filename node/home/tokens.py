"""Tokens of management: who may do what. The node keeps their hashes; a token is shown once, to who made it.

A token is 32 random bytes, so its SHA-256 tells nothing of it and needs no salt.
"""

import json
import secrets
import time
from base64 import urlsafe_b64encode
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from hashlib import sha256
from hmac import compare_digest
from pathlib import Path
from typing import Final

from ledger.errors import CallerError
from node.home.files import changing, replace_file

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


class TokensUnusable(CallerError):
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

    def all(self) -> Sequence[Token]:
        """As the file has them; none without a file. Raises: TokensUnusable."""
        try:
            return _tokens(self._path)
        except FileNotFoundError:
            return ()
        except (OSError, ValueError, TypeError) as error:
            raise TokensUnusable(f"{self._path} cannot be read: {error}.") from error

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
        if not name or len(name) > NAME_LENGTH_MAX or not name.isprintable():
            raise TokensUnusable(f"A name has 1 to {NAME_LENGTH_MAX} characters that can be printed.")
        now_ms = time.time_ns() // 1_000_000
        token = PREFIX + urlsafe_b64encode(secrets.token_bytes(32)).decode().rstrip("=")
        made = Token(name, role, _digest(token), now_ms, now_ms + valid_for_ms if valid_for_ms else 0)
        self._change(lambda known: _with(known, made))
        return token

    def remove(self, name: str) -> None:
        """From now on it opens nothing. Raises: TokensUnusable, OSError."""
        self._change(lambda known: _without(known, name))

    def _change(self, change: Callable[[Sequence[Token]], Sequence[Token]]) -> None:
        """Others who change the file wait."""
        with changing(self._path.parent):
            documents = [asdict(each) for each in change(self.all())]
            replace_file(self._path, json.dumps(documents, indent=1).encode(), mode=0o600)


def _with(known: Sequence[Token], made: Token) -> Sequence[Token]:
    """Raises: TokensUnusable."""
    if any(each.name == made.name for each in known):
        raise TokensUnusable(f"There is a token of {made.name} already: remove it first.")
    if len(known) >= TOKENS_MAX:
        raise TokensUnusable(f"There are {TOKENS_MAX} tokens already.")
    return [*known, made]


def _without(known: Sequence[Token], name: str) -> Sequence[Token]:
    """Raises: TokensUnusable."""
    kept = [each for each in known if each.name != name]
    if len(kept) == len(known):
        raise TokensUnusable(f"There is no token of {name}.")
    return kept


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
