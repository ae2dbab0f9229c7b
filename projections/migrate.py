"""Bringing a database to the current tables, or back."""

from pathlib import Path
from typing import Final

import sqlalchemy
from alembic import command
from alembic.config import Config

MIGRATIONS: Final = Path(__file__).resolve().parent.parent / "migrations"
LOCK: Final = 0x6D6F6D7573
"""Advisory lock: two processes that migrate one database at once take turns."""


def config_of(connection: sqlalchemy.Connection | None = None) -> Config:
    """Alembic's configuration, without a file."""
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    config.attributes["connection"] = connection
    return config


def engine_of(url: str) -> sqlalchemy.Engine:
    """An engine over psycopg 3 for an ordinary Postgres URL."""
    scheme, _, rest = url.partition("://")
    if scheme not in ("postgres", "postgresql", "postgresql+psycopg"):
        raise ValueError(f"{scheme!r} is no Postgres URL: it begins with postgresql://.")
    return sqlalchemy.create_engine(f"postgresql+psycopg://{rest}", poolclass=sqlalchemy.NullPool)


def migrate(url: str, partition_heights: int | None = None) -> None:
    """Upgrade to the newest tables. `partition_heights` is set only while there is no block yet."""
    with engine_of(url).begin() as connection:
        connection.execute(sqlalchemy.text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": LOCK})
        command.upgrade(config_of(connection), "head")
        if partition_heights is not None:
            connection.execute(
                sqlalchemy.text(
                    "UPDATE ledger.layout SET partition_heights = :heights "
                    "WHERE NOT EXISTS (SELECT FROM ledger.blocks) AND partition_heights <> :heights"
                ),
                {"heights": partition_heights},
            )


def downgrade(url: str, revision: str = "base") -> None:
    """Go back to `revision`; "base" drops everything of ours but the empty schema."""
    with engine_of(url).begin() as connection:
        command.downgrade(config_of(connection), revision)
