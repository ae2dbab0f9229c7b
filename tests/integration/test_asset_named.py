"""Assets by name on the command line."""

from threading import Thread

import pytest

from cli.command_parsing import BadCommand
from cli.submission import asset_named
from projections.database import Database
from projections.maintenance.migrate import migrate
from tests import flush_effects as effects
from tests.flush_effects import COIN, cursor_at

pytestmark = pytest.mark.postgres


def test_node_that_has_just_begun_knows_an_asset_once_it_has_executed_its_first_block(postgres_url: str) -> None:
    migrate(postgres_url)
    found: list[bytes] = []
    asking = Thread(target=lambda: found.append(asset_named(postgres_url, "coin", 60)))
    with Database(postgres_url) as database:
        database.initialise(cursor_at(0))
        asking.start()
        database.flush(effects.first(), 0, cursor_at(1))
    asking.join()
    assert found == [COIN]


def test_name_of_no_asset_is_told_at_once_where_anything_was_executed(postgres_url: str) -> None:
    migrate(postgres_url)
    with Database(postgres_url) as database:
        database.initialise(cursor_at(0))
        database.flush(effects.first(), 0, cursor_at(1))
    with pytest.raises(BadCommand, match="no asset of the name 'nickel'"):
        asset_named(postgres_url, "nickel", 10**6)


def test_patience_with_a_node_that_executes_nothing_ends(postgres_url: str) -> None:
    migrate(postgres_url)
    with pytest.raises(BadCommand, match="no asset of the name 'coin'"):
        asset_named(postgres_url, "coin", 0.05)
