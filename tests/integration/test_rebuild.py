"""Rebuilding a database says why each path failed, and leaves alone what is not fresh."""

from collections.abc import Callable
from pathlib import Path

import pytest

from node.home.layout import Home
from node.recovery.rebuild import STORE, RecoveryFailed, RecoverySources, rebuild
from projections.database import Database
from tests.snapshots import small_chain

pytestmark = [pytest.mark.postgres]


def test_database_that_holds_a_ledger_is_skipped(new_database: Callable[[], str], tmp_path: Path) -> None:
    chain = small_chain(tmp_path, blocks=2, drawn=10)
    url = new_database()
    chain.execute(url, 1)
    context = chain.context(Home(tmp_path / "home"))
    sources = RecoverySources(context, chain.store, None, None, allowed=[STORE])
    with pytest.raises(RecoveryFailed, match="Skipped store: The database holds a ledger already"):
        rebuild(sources, url, None, lambda: None)
    with Database(url) as database:
        cursor = database.cursor()
    assert cursor is not None
    assert cursor.height == 1
