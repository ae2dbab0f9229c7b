"""The ledger's tables: state, history by height, cursor. Consensus determines all rows but `layout` and `progress`.

What may be large of an object is stored once, when it is set: its type, its writers, each content. The row of an
object, and of each of its versions, is small, and says which version set the content. Rows of `object_types`,
`object_writers` and `object_contents` never change; pruning removes them with the last version that has them
(`projections.maintenance.pruning`).

History has no secondary index on the live partition: they are built when a partition closes
(`projections.maintenance.partitions`).
"""

from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

TABLES = (
    """
CREATE TABLE ledger.layout (
    one boolean PRIMARY KEY CHECK (one),
    partition_heights bigint NOT NULL CHECK (partition_heights > 0)
)""",
    """
CREATE TABLE ledger.cursor (
    one boolean PRIMARY KEY CHECK (one),
    genesis_digest bytea NOT NULL,
    chain text NOT NULL,
    cluster_id text NOT NULL,
    topic_id text NOT NULL,
    protocol_version integer NOT NULL,
    height bigint NOT NULL CHECK (height >= 0),
    block_digest bytea NOT NULL,
    time_ms bigint NOT NULL,
    heads jsonb NOT NULL
)""",
    """
CREATE TABLE ledger.progress (
    one boolean PRIMARY KEY CHECK (one),
    final_height bigint NOT NULL,
    seen_at timestamptz NOT NULL
)""",
    """
CREATE TABLE ledger.assets (
    id bytea PRIMARY KEY,
    name text NOT NULL,
    decimals integer NOT NULL CHECK (decimals BETWEEN 0 AND 18),
    issuer bytea NOT NULL,
    supply bigint NOT NULL CHECK (supply >= 0)
)""",
    """
CREATE TABLE ledger.balances (
    asset bytea NOT NULL,
    address bytea NOT NULL,
    amount bigint NOT NULL CHECK (amount > 0),
    PRIMARY KEY (asset, address)
) WITH (fillfactor = 70)""",
    """
CREATE TABLE ledger.objects (
    id bytea PRIMARY KEY,
    version bigint NOT NULL CHECK (version > 0),
    ownership smallint NOT NULL CHECK (ownership BETWEEN 0 AND 2),
    owner bytea NOT NULL,
    writers smallint NOT NULL CHECK (writers BETWEEN 0 AND 256),
    details_digest bytea NOT NULL,
    content_version bigint NOT NULL CHECK (content_version > 0),
    content_size_bytes integer NOT NULL,
    content_digest bytea NOT NULL
) WITH (fillfactor = 80)""",
    """
CREATE TABLE ledger.object_types (
    object bytea PRIMARY KEY,
    type text NOT NULL
)""",
    """
CREATE TABLE ledger.object_writers (
    object bytea NOT NULL,
    writer bytea NOT NULL,
    PRIMARY KEY (object, writer)
)""",
    """
CREATE TABLE ledger.object_contents (
    object bytea NOT NULL,
    version bigint NOT NULL,
    media_type text NOT NULL,
    content bytea NOT NULL,
    PRIMARY KEY (object, version)
)""",
    """
CREATE TABLE ledger.remembered (
    bucket bigint NOT NULL,
    digest bytea NOT NULL,
    height bigint NOT NULL,
    rank bigint NOT NULL CHECK (rank >= 0),
    PRIMARY KEY (bucket, digest)
)""",
    """
CREATE TABLE ledger.expiry_buckets (
    bucket bigint PRIMARY KEY,
    count bigint NOT NULL CHECK (count > 0),
    hash bytea NOT NULL
)""",
    """
CREATE TABLE ledger.blocks (
    height bigint NOT NULL,
    digest bytea NOT NULL,
    parent_digest bytea NOT NULL,
    epoch bigint NOT NULL,
    view bigint NOT NULL,
    proposer integer NOT NULL,
    time_ms bigint NOT NULL,
    heads jsonb NOT NULL,
    records integer NOT NULL,
    transactions integer NOT NULL,
    transfers integer NOT NULL,
    rejections integer NOT NULL,
    PRIMARY KEY (height)
) PARTITION BY RANGE (height)""",
    """
CREATE TABLE ledger.transactions (
    height bigint NOT NULL,
    index integer NOT NULL,
    partition integer NOT NULL,
    "offset" bigint NOT NULL,
    item integer NOT NULL,
    digest bytea NOT NULL,
    signer bytea NOT NULL,
    reference bytea NOT NULL,
    expires_at_ms bigint NOT NULL,
    commands integer NOT NULL,
    PRIMARY KEY (height, index)
) PARTITION BY RANGE (height)""",
    """
CREATE TABLE ledger.rejections (
    height bigint NOT NULL,
    index integer NOT NULL,
    partition integer NOT NULL,
    "offset" bigint NOT NULL,
    item integer NOT NULL,
    reason integer NOT NULL,
    digest bytea,
    signer bytea,
    reference bytea,
    PRIMARY KEY (height, index)
) PARTITION BY RANGE (height)""",
    """
CREATE TABLE ledger.transfers (
    height bigint NOT NULL,
    index integer NOT NULL,
    transaction integer NOT NULL,
    asset bytea NOT NULL,
    sender bytea NOT NULL,
    recipient bytea NOT NULL,
    amount bigint NOT NULL,
    PRIMARY KEY (height, index)
) PARTITION BY RANGE (height)""",
    """
CREATE TABLE ledger.object_versions (
    height bigint NOT NULL,
    transaction integer NOT NULL,
    command integer NOT NULL,
    object bytea NOT NULL,
    version bigint NOT NULL,
    ownership smallint NOT NULL,
    owner bytea NOT NULL,
    content_version bigint NOT NULL,
    deleted boolean NOT NULL,
    PRIMARY KEY (height, transaction, command)
) PARTITION BY RANGE (height)""",
)

NAMES = (
    "object_versions",
    "transfers",
    "rejections",
    "transactions",
    "blocks",
    "expiry_buckets",
    "remembered",
    "object_contents",
    "object_writers",
    "object_types",
    "objects",
    "balances",
    "assets",
    "progress",
    "cursor",
    "layout",
)


def upgrade() -> None:
    """Create the tables. The schema is there already: Alembic's own version table lies in it."""
    for statement in TABLES:
        op.execute(statement)
    op.execute("INSERT INTO ledger.layout VALUES (true, 10000)")


def downgrade() -> None:
    """Drop them, with every partition."""
    for name in NAMES:
        op.execute(f"DROP TABLE ledger.{name}")
