"""How many connections to Postgres a node needs, and who goes first where it may have fewer."""

from collections.abc import Mapping
from typing import Final

from node.settings.tree import Settings
from projections.session.connect import connect
from projections.session.errors import DatabaseUnusable, translated
from projections.session.room import QUESTION, allowed

EXECUTION_MIN: Final = 4
"""Reading, flushing, upkeep, and asking whether the database answers. A migration at the start comes before these."""
EXECUTION: Final = EXECUTION_MIN + 2
"""With a snapshot that is being written."""
EFFECTS: Final = 3
MANAGEMENT: Final = 2
DRILLS: Final = 3
COMMANDS: Final = 2
"""`momus sql`, `momus status` and others, one or two at a time."""


def needed(settings: Settings) -> Mapping[str, int]:
    """At most, by what uses them."""
    return {
        "execution": EXECUTION,
        "effects": EFFECTS * settings.effects.enabled,
        "management": MANAGEMENT * bool(settings.admin.listen),
        "drills": DRILLS * bool(settings.drills.every_ms),
        "commands": COMMANDS,
        "api": (1 + settings.api.connections) * _reads_here(settings),
    }


def before_the_api(settings: Settings) -> int:
    """What the API's pool leaves to all others, and to its own connection that follows the height; on a server of its
    own, to that alone."""
    if settings.api.port and not _reads_here(settings):
        return 1
    return sum(needed(settings).values()) - settings.api.connections * _reads_here(settings)


def _reads_here(settings: Settings) -> bool:
    """Whether there is an API, and it has no replica of its own."""
    api = settings.api
    return bool(api.port) and not api.postgres_url and api.postgres_url_file is None


def check_room(url: str, settings: Settings) -> str | None:
    """None where the role of `url` may have all; else what to say about it.

    Raises: DatabaseUnavailable; DatabaseUnusable, where it is not enough for execution alone.
    """
    with translated(), connect(url) as connection:
        row = connection.execute(QUESTION).fetchone()
        role = connection.execute("SELECT session_user").fetchone()
    assert row is not None
    assert role is not None
    may, wants = allowed(*row), sum(needed(settings).values())
    if may >= wants:
        return None
    words = f"The role {role[0]} may have {may} connections at once, by itself, its database or the server"
    remedy = "see pg_roles.rolconnlimit, pg_database.datconnlimit and max_connections"
    if may < EXECUTION_MIN:
        raise DatabaseUnusable(f"{words}, and execution needs {EXECUTION_MIN}: {remedy}.")
    return f"{words}, and this node uses up to {wants}; execution goes first, and the API takes what is left: {remedy}."
