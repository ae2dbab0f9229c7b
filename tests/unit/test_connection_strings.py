"""Every connection to a database is made of one string, in which nothing is left to the environment."""

import os
import re
from collections.abc import Mapping
from pathlib import Path

import pytest
from psycopg.conninfo import conninfo_to_dict
from psycopg.pq import Conninfo

from projections.session.conninfo import SESSION, WHO_THEY_ARE, WHO_WE_ARE, conninfo
from projections.session.errors import DatabaseUnusable

SOURCES = Path(__file__).parents[2]
PACKAGES = ("projections", "sync", "proofs", "node", "api", "momus", "migrations")
_MADE = r"\.connect\((?!\s*(?:conninfo\(|self\._conninfo))"
OPENS = re.compile(rf"(?:psycopg|AsyncConnection|Connection){_MADE}|create_engine\(")
SOCKET = "postgresql://momus@/momus?host=%2Ftmp%2Fpg"
NETWORK = "postgresql://momus@db.example:5433/momus"


def test_nothing_else_opens_connections() -> None:
    files = [file for package in PACKAGES for file in (SOURCES / package).rglob("*.py")]
    found = {str(file.relative_to(SOURCES)) for file in files if OPENS.search(file.read_text())}
    assert found == {"projections/maintenance/migrate.py"}, "whose engine is given a creator"


@pytest.mark.parametrize("url", [SOCKET, NETWORK])
def test_no_variable_of_libpq_is_left_to_count(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    variables = {option.envvar.decode(): option.keyword.decode() for option in Conninfo.get_defaults() if option.envvar}
    for name in variables:
        monkeypatch.setenv(name, "hostile")
    said = conninfo_to_dict(conninfo(url, "test"))
    left = {keyword for name, keyword in variables.items() if _counts(name, keyword, said)}
    assert left == (WHO_WE_ARE | WHO_THEY_ARE if url == NETWORK else WHO_WE_ARE)


def _counts(variable: str, keyword: str, said: Mapping[str, object]) -> bool:
    return keyword not in said and variable in os.environ


@pytest.mark.parametrize("options", ["-c role=owner", "-csearch_path=mine -c statement_timeout=1"])
def test_options_of_the_url_come_before_ours(options: str) -> None:
    said = str(
        conninfo_to_dict(conninfo(f"{NETWORK}?options={options.replace(' ', '%20').replace('=', '%3D')}", "x"))[
            "options"
        ]
    )
    assert said.startswith(f"-c role=none {options} ")
    assert all(f"-c {name}=" in said.split(options)[1] for name in SESSION)


@pytest.mark.parametrize(
    "url", ["hunter2", "postgresql://momus:hunter2@[db/momus", "host=db pass word=hunter2", "hunter2://x"]
)
def test_what_cannot_be_read_is_not_repeated(url: str) -> None:
    with pytest.raises(DatabaseUnusable) as caught:
        conninfo(url, "test")
    assert "hunter2" not in str(caught.value)
    assert caught.value.__cause__ is None
