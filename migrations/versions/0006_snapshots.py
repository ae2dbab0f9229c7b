"""A database that is being filled from a snapshot: which one, and the parts that are there. Both empty otherwise."""

from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

TABLES = (
    """
CREATE TABLE ledger.restoring (
    one boolean PRIMARY KEY CHECK (one),
    height bigint NOT NULL,
    snapshot bytea NOT NULL
)""",
    """
CREATE TABLE ledger.restored_parts (
    number integer PRIMARY KEY,
    top bytea NOT NULL
)""",
)


def upgrade() -> None:
    """Create the tables."""
    for statement in TABLES:
        op.execute(statement)


def downgrade() -> None:
    """Drop them."""
    op.execute("DROP TABLE ledger.restored_parts")
    op.execute("DROP TABLE ledger.restoring")
