"""What one node asks another for: the parameters of a request."""

import pytest

from ledger.header import Head
from sync.asked import Asked, asked_of

ASKED = Asked(Head(1, 2, 3, b"b" * 32), Head(1, 2, 9, b"t" * 32))
QUERY = ASKED.query()


def test_what_is_asked_is_understood() -> None:
    assert asked_of(QUERY, 2) == ASKED


@pytest.mark.parametrize("name", QUERY)
def test_every_parameter_must_be_there(name: str) -> None:
    assert asked_of({key: value for key, value in QUERY.items() if key != name}, 2) == f"{name} is missing"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("partition", ""),
        ("partition", "2"),
        ("partition", "-1"),
        ("partition", "1.0"),
        ("partition", "١"),
        ("incarnation", "4294967296"),
        ("incarnation", "9" * 10_000),
        ("from_offset", "9"),
        ("from_offset", " 3"),
        ("end_offset", "9223372036854775808"),
        ("end_offset", "3"),
        ("chain_digest", "t" * 64),
        ("chain_digest", "AB" * 32),
        ("chain_digest", "ab" * 31),
        ("before_digest", ""),
    ],
)
def test_a_parameter_that_means_nothing_is_named(name: str, value: str) -> None:
    wrong = asked_of({**QUERY, name: value}, 2)
    assert isinstance(wrong, str)
    assert name in wrong
