"""Alembic's environment: the connection comes from `projections.migrate`, or a URL for offline SQL."""

from alembic import context
from sqlalchemy import text

config = context.config


def run() -> None:
    """Run the migrations online over the given connection, or print them."""
    connection = config.attributes.get("connection")
    if connection is None:
        context.configure(dialect_name="postgresql", literal_binds=True, version_table_schema="ledger")
        with context.begin_transaction():
            context.run_migrations()
        return
    connection.execute(text("CREATE SCHEMA IF NOT EXISTS ledger"))
    context.configure(connection=connection, version_table_schema="ledger")
    with context.begin_transaction():
        context.run_migrations()


run()
