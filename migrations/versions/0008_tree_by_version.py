"""The tree's tables are found by version first: what a checkpoint writes lies side by side in their indexes.

By path first, each new node and leaf went to a place of its own, in a large tree to a page of its own: after each of
Postgres' checkpoints every such page goes into the WAL whole.
"""

from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

KEYS = {"tree_nodes": "path", "tree_leaves": "key_hash"}


def upgrade() -> None:
    """Make the keys anew, and an index of roots alone: the root as of a height is that of the last version before."""
    for table, name in KEYS.items():
        op.execute(_with_key(table, f"version, {name}"))
    op.execute("CREATE INDEX tree_nodes_roots ON ledger.tree_nodes (version) WHERE path = ''")


def downgrade() -> None:
    """As it was."""
    op.execute("DROP INDEX ledger.tree_nodes_roots")
    for table, name in KEYS.items():
        op.execute(_with_key(table, f"{name}, version"))


def _with_key(table: str, columns: str) -> str:
    # The linter may be told so: the same columns stay unique.
    return f"""-- squawk-ignore ban-drop-constraint
ALTER TABLE ledger.{table} DROP CONSTRAINT {table}_pkey, ADD PRIMARY KEY ({columns})"""
