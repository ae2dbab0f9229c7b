"""The state tree, the keys that changed since the last checkpoint, and the checkpoints.

The tree's tables follow from the state; of all these only `checkpoints` is compared between nodes, since nodes that
were restored at different heights hold the same tree in nodes of other versions.
"""

from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

TABLES = (
    """
CREATE TABLE ledger.checkpoints (
    height bigint PRIMARY KEY,
    epoch bigint NOT NULL,
    block_digest bytea NOT NULL,
    time_ms bigint NOT NULL,
    heads jsonb NOT NULL,
    state_root bytea NOT NULL,
    previous bytea NOT NULL,
    digest bytea NOT NULL
)""",
    """
CREATE TABLE ledger.certificates (
    height bigint PRIMARY KEY,
    certificate bytea NOT NULL
)""",
    """
CREATE TABLE ledger.changed_balances (
    asset bytea NOT NULL,
    address bytea NOT NULL
)""",
    """
CREATE TABLE ledger.changed_keys (
    key bytea NOT NULL
)""",
    """
CREATE TABLE ledger.tree_nodes (
    path bytea NOT NULL,
    version bigint NOT NULL,
    node bytea NOT NULL,
    PRIMARY KEY (path, version)
)""",
    """
CREATE TABLE ledger.tree_leaves (
    key_hash bytea NOT NULL,
    version bigint NOT NULL,
    key bytea NOT NULL,
    value bytea NOT NULL,
    PRIMARY KEY (key_hash, version)
)""",
    """
CREATE TABLE ledger.tree_stale (
    since bigint NOT NULL,
    is_leaf boolean NOT NULL,
    key bytea NOT NULL,
    version bigint NOT NULL
)""",
    "CREATE INDEX tree_stale_since ON ledger.tree_stale (since)",
    """
CREATE TABLE ledger.tree_root (
    one boolean PRIMARY KEY CHECK (one),
    root bytea NOT NULL
)""",
)

NAMES = (
    "tree_root",
    "tree_stale",
    "tree_leaves",
    "tree_nodes",
    "changed_keys",
    "changed_balances",
    "certificates",
    "checkpoints",
)

_REFUSE = """DO $$ BEGIN
    IF EXISTS (SELECT FROM ledger.cursor WHERE height > 0) THEN
        RAISE EXCEPTION 'A database from before checkpoints cannot be carried over: rebuild it with momus replay';
    END IF;
END $$"""


def upgrade() -> None:
    """Create the tables. What has executed without noting what it changed has no state root: such a database is
    refused."""
    op.execute(_REFUSE)
    for statement in TABLES:
        op.execute(statement)


def downgrade() -> None:
    """Drop them."""
    for name in NAMES:
        op.execute(f"DROP TABLE ledger.{name}")
