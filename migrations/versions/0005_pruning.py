"""What pruning has removed so far, beside what there still is to remove."""

from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

TABLE = """
CREATE TABLE ledger.pruning (
    one boolean PRIMARY KEY CHECK (one),
    history_floor bigint NOT NULL,
    partitions_removed bigint NOT NULL,
    tree_pieces_removed bigint NOT NULL,
    store_bytes_removed bigint NOT NULL,
    pruned_at timestamptz NOT NULL
)"""

COMMENT = "What was removed since the database was made, and what of the state tree is still to go."
QUERY = """SELECT p.history_floor, p.partitions_removed, p.tree_pieces_removed, p.store_bytes_removed, p.pruned_at,
    (SELECT count(*) FROM ledger.tree_stale) AS tree_pieces_waiting
FROM ledger.pruning AS p"""
COLUMNS = {
    "history_floor": "History is there above this height.",
    "partitions_removed": "Partitions of history tables that were dropped.",
    "tree_pieces_removed": "Nodes and leaves of the state tree that were removed.",
    "store_bytes_removed": "Bytes of the store that were removed.",
    "pruned_at": "When something was removed last.",
    "tree_pieces_waiting": "Nodes and leaves of the state tree that are superseded and not removed yet.",
}

GRANT = """
DO $$ BEGIN
    IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'momus_reader') THEN
        GRANT SELECT ON api.pruning TO momus_reader;
    END IF;
EXCEPTION WHEN insufficient_privilege THEN
    RAISE WARNING USING MESSAGE = 'The role momus_reader may not read api.pruning.';
END $$"""


def upgrade() -> None:
    """Create the table and its view."""
    op.execute(TABLE)
    op.execute(f"CREATE VIEW api.pruning AS {QUERY}")
    op.execute(f"COMMENT ON VIEW api.pruning IS '{COMMENT}'")
    for column, text in COLUMNS.items():
        op.execute(f"COMMENT ON COLUMN api.pruning.{column} IS '{text}'")
    op.execute(GRANT)


def downgrade() -> None:
    """Drop them."""
    op.execute("DROP VIEW api.pruning")
    op.execute("DROP TABLE ledger.pruning")
