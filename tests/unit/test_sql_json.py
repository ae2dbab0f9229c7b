"""What `momus sql --json` and `momus status` print for programs: numbers that stay exact, a URL without a password."""

import json
import math
from decimal import Decimal
from typing import Any

import pytest
from psycopg.conninfo import conninfo_to_dict

from cli.sql import _plain
from projections.session.conninfo import url_without_secrets


@pytest.mark.parametrize("number", [2**63 - 1, -(2**63), 2**53, -(2**53), 2**70])
def test_an_integer_that_a_double_cannot_hold_is_text(number: int) -> None:
    assert _plain(number) == str(number)
    assert _plain({"a": [number]}) == {"a": [str(number)]}


@pytest.mark.parametrize("value", [0, 7, 2**53 - 1, 1 - 2**53, True, 1.5, None, "a", [1, {"b": 2}]])
def test_what_every_reader_of_json_keeps_stays_as_it_is(value: Any) -> None:
    assert json.dumps(_plain(value)) == json.dumps(value)


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, Decimal("1.10")])
def test_what_json_has_no_number_for_is_text(value: Any) -> None:
    assert _plain(value) == str(value)


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        ("postgresql://ann:pa%40ss@db.example:5433/momus", "postgresql://ann@db.example:5433/momus"),
        ("postgres://ann@db/momus?password=secret&sslmode=require", "postgresql://ann@db/momus?sslmode=require"),
        ("user=ann password='a b' host=db dbname='my db'", "postgresql://ann@db/my%20db"),
        (
            "postgresql://momus@/momus?host=%2Fhome%2Fa%2Fpg&port=5432",
            "postgresql://momus@/momus?host=%2Fhome%2Fa%2Fpg&port=5432",
        ),
        ("postgresql://a:b@one:1,two:2/m?sslpassword=x", "postgresql://a@/m?host=one%2Ctwo&port=1%2C2"),
        ("postgresql://a:b@[::1]:5/m", "postgresql://a@/m?host=%3A%3A1&port=5"),
    ],
)
def test_a_url_is_shown_without_its_secrets_and_leads_to_the_same_place(given: str, shown: str) -> None:
    assert url_without_secrets(given) == shown
    secret = {"password", "sslpassword"}
    assert conninfo_to_dict(shown) == {
        name: value for name, value in conninfo_to_dict(given).items() if name not in secret
    }
