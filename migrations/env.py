"""Alembic's environment: the connection comes from `projections.maintenance.migrate`; without one, SQL is printed."""

from alembic import context

_FIRST = ("SET LOCAL lock_timeout = '5s'", "CREATE SCHEMA IF NOT EXISTS ledger")
"""A migration that cannot get a lock gives up, instead of holding up everybody who asks after it."""
_ALONE = (
    "CREATE SCHEMA IF NOT EXISTS ledger",
    """CREATE TABLE IF NOT EXISTS ledger.alembic_version (
    version_num varchar(32) NOT NULL, CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num))""",
    "SET LOCAL lock_timeout = '5s'",
    "LOCK TABLE ledger.alembic_version IN SHARE ROW EXCLUSIVE MODE",
)
"""Two processes that migrate one database at once take turns: by Alembic's own table, which nobody else may lock."""


def run() -> None:
    """Run the migrations over the given connection, or print them. The version table is ours, in schema `ledger`."""
    connection = context.config.attributes.get("connection")
    if connection is None:
        context.configure(dialect_name="postgresql", literal_binds=True, version_table_schema="ledger")
    else:
        for statement in _ALONE:
            connection.exec_driver_sql(statement)
        context.configure(connection=connection, version_table_schema="ledger")
    with context.begin_transaction():
        for statement in _FIRST if connection is None else ():
            context.execute(statement)
        context.run_migrations()


run()
