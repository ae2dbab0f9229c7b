"""Destroys a stopped node's database and has `momus replay` build it anew from the node's store."""

import os
from dataclasses import dataclass
from pathlib import Path

from lab.demo.local_node import momus
from node.home.layout import Home
from node.wiring import DATABASE, database_url
from node.wiring.databases import create_database, drop_database, running_postgres
from projections.audit.fingerprint import compare, fingerprint

_ADMINISTRATION = "postgres"


@dataclass(frozen=True, slots=True)
class Rebuilt:
    """How long the replay took, in seconds, and a sentence per table that came back different."""

    seconds: float
    tables: int
    differing: tuple[str, ...]


def rebuild(path: Path) -> Rebuilt:
    """Raises: NodeFailed, DatabaseUnavailable, PostgresUnusable."""
    home = Home(path)
    settings = home.settings(dict(os.environ))
    url = database_url(home, settings)
    with running_postgres(home, settings):
        before = fingerprint(url)
        administration = url.replace(f"/{DATABASE}?", f"/{_ADMINISTRATION}?")
        drop_database(administration, DATABASE)
        create_database(administration, DATABASE)
        facts = momus("replay", "--home", str(path), "--into", url)
        return Rebuilt(facts["seconds"], len(before), tuple(compare(before, fingerprint(url))))
