"""Who asks, and whether they may."""

from collections.abc import Awaitable, Callable
from typing import Final

import structlog
from starlette.requests import Request

from node.home.tokens import Token, Tokens, TokensUnusable
from serving.problems import Problem

SCHEME: Final = "bearer"
_CHALLENGE: Final = {"WWW-Authenticate": 'Bearer realm="momus"'}

_log = structlog.get_logger()

Needs = Callable[[str], Callable[[Request], Awaitable[Token]]]
"""For a role, the check that a route depends on."""


def needs_in(tokens: Tokens) -> Needs:
    """Checks against these tokens."""

    def needs(role: str) -> Callable[[Request], Awaitable[Token]]:
        async def check(request: Request) -> Token:
            try:
                token = _caller(tokens, request.headers.get("Authorization", ""))
            except Problem as problem:
                _log.warning("refused", path=request.url.path, why=problem.detail)
                raise
            if not token.may(role):
                _log.warning("refused", path=request.url.path, by=token.name, role=token.role, needs=role)
                raise Problem("forbidden", f"{token.name} is {token.role}; this needs {role}.")
            return token

        return check

    return needs


def _caller(tokens: Tokens, header: str) -> Token:
    """Raises: Problem."""
    scheme, _, token = header.partition(" ")
    if scheme.lower() != SCHEME:
        raise Problem("unauthorized", "Give a token: `Authorization: Bearer ...`.", headers=_CHALLENGE)
    try:
        found = tokens.holder(token.strip())
    except TokensUnusable as error:
        raise Problem("unauthorized", str(error), headers=_CHALLENGE) from error
    if found is None:
        raise Problem("unauthorized", "This token opens nothing, or nothing any more.", headers=_CHALLENGE)
    return found
