"""Of objects, what may be large is stored once: the tables of 0001 say so since. A database that was made by tables of
before, with type, writers and content in every row, is refused.
"""

from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None

_REFUSE = """DO $$ BEGIN
    IF EXISTS (SELECT FROM information_schema.columns
        WHERE table_schema = 'ledger' AND table_name = 'object_versions' AND column_name = 'content') THEN
        RAISE EXCEPTION 'A database with contents in every version of an object cannot be carried over: '
            'rebuild it with momus replay';
    END IF;
END $$"""


def upgrade() -> None:
    """Refuse what cannot be carried over; nothing else is left to do."""
    op.execute(_REFUSE)


def downgrade() -> None:
    """Nothing was done."""
