"""Tokens: what opens, for whom, how long; and what the file may hold."""

import json
from pathlib import Path

import pytest

from node.home.tokens import ADMIN, OPERATOR, ROLES, TOKEN_LENGTH_MAX, VIEWER, Token, Tokens, TokensUnusable


def test_a_token_opens_for_who_it_was_made_and_is_not_in_the_file(tmp_path: Path) -> None:
    file = tmp_path / "tokens.json"
    tokens = Tokens(file)
    assert tokens.holder("momus_x") is None
    mine, theirs = tokens.add("ann", ADMIN), tokens.add("bob", VIEWER)
    seen = Tokens(file)
    holder, other = seen.holder(mine), seen.holder(theirs)
    assert holder is not None
    assert other is not None
    assert (holder.name, holder.role, other.name, other.role) == ("ann", ADMIN, "bob", VIEWER)
    assert mine not in file.read_text()
    assert file.stat().st_mode & 0o777 == 0o600
    for wrong in ("", "momus_", mine[:-1], mine + "x", mine.swapcase(), "x" * (TOKEN_LENGTH_MAX + 1), "\udc80"):
        assert seen.holder(wrong) is None
    tokens.remove("ann")
    assert seen.holder(mine) is None
    assert seen.holder(theirs) is not None


def test_a_token_opens_until_it_expires(tmp_path: Path) -> None:
    tokens = Tokens(tmp_path / "tokens.json")
    token = tokens.add("ann", OPERATOR, valid_for_ms=60_000)
    (made,) = tokens.all()
    assert tokens.holder(token, made.expires_at_ms - 1) == made
    assert tokens.holder(token, made.expires_at_ms) is None


def test_each_role_may_what_those_before_it_may() -> None:
    may = {role: [need for need in ROLES if Token("x", role, "", 0).may(need)] for role in ROLES}
    assert may == {VIEWER: [VIEWER], OPERATOR: [VIEWER, OPERATOR], ADMIN: [VIEWER, OPERATOR, ADMIN]}


@pytest.mark.parametrize("name", ["", "a" * 65, "two\nlines", "\x1b[31m"])
def test_names_that_would_spoil_a_list_are_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(TokensUnusable):
        Tokens(tmp_path / "tokens.json").add(name, VIEWER)


def test_a_name_has_one_token(tmp_path: Path) -> None:
    tokens = Tokens(tmp_path / "tokens.json")
    tokens.add("ann", VIEWER)
    with pytest.raises(TokensUnusable, match="already"):
        tokens.add("ann", ADMIN)
    with pytest.raises(TokensUnusable, match="no token of bob"):
        tokens.remove("bob")


GOOD = {"name": "ann", "role": "admin", "digest": "00" * 32, "made_at_ms": 0, "expires_at_ms": 0}


@pytest.mark.parametrize(
    "text",
    [
        "{",
        "1",
        json.dumps([{**GOOD, "role": "root"}]),
        json.dumps([{**GOOD, "digest": "00"}]),
        json.dumps([{**GOOD, "digest": "zz" * 32}]),
        json.dumps([{**GOOD, "name": 1}]),
        json.dumps([{**GOOD, "expires_at_ms": "never"}]),
        json.dumps([{**GOOD, "more": 1}]),
        json.dumps([{}]),
    ],
)
def test_a_file_that_is_not_ours_opens_nothing(tmp_path: Path, text: str) -> None:
    file = tmp_path / "tokens.json"
    file.write_text(text)
    with pytest.raises(TokensUnusable):
        Tokens(file).holder("momus_x")
