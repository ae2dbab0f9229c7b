"""What moved units is stored with each movement: a transfer to the address of zeros is no burn, a mint to it a mint."""

from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

_ZEROS = r"'\x" + "00" * 32 + "'::bytea"

_REFUSE = """DO $$ BEGIN
    IF EXISTS (SELECT FROM ledger.cursor WHERE height > 0) THEN
        RAISE EXCEPTION 'A database from before kinds of movement cannot be carried over: rebuild it with momus replay';
    END IF;
END $$"""

# Before `amount`, where a row is padded to eight bytes anyway: the kind takes no room.
_TABLE = """
CREATE TABLE ledger.transfers (
    height bigint NOT NULL,
    index integer NOT NULL,
    transaction integer NOT NULL,
    asset bytea NOT NULL,
    sender bytea NOT NULL,
    recipient bytea NOT NULL,
    kind smallint NOT NULL CHECK (kind BETWEEN 0 AND 2),
    amount bigint NOT NULL,
    PRIMARY KEY (height, index)
) PARTITION BY RANGE (height)"""

_VIEW = """CREATE VIEW api.transfers AS
SELECT t.height, t.index, t.transaction,{} encode(t.asset, 'hex') AS asset,
    {} AS sender, {} AS recipient, t.amount,
    api.whole_units(t.amount, a.decimals) AS decimal_amount,
    timestamptz 'epoch' + b.time_ms * interval '1 millisecond' AS "time"
FROM ledger.transfers AS t JOIN ledger.blocks AS b USING (height)
LEFT JOIN ledger.assets AS a ON a.id = t.asset"""

_MISSING = ((1, "sender"), (2, "recipient"))
"""Which kind lacks which side."""

_COMMENT = "Every movement of units: transfers, mints and burns. What was minted less what was burned is the supply."
_COLUMNS = {
    "height": "Block.",
    "index": "Place among the transfers of the block, from 0.",
    "transaction": "api.transactions.index of its transaction.",
    "kind": "transfer, mint or burn.",
    "asset": "Asset id, hex.",
    "sender": "Address debited, hex; NULL of a mint.",
    "recipient": "Address credited, hex; NULL of a burn.",
    "amount": "Amount in the asset's smallest unit.",
    "decimal_amount": "Amount in whole units.",
    "time": "Block time.",
}

_GRANT = """
DO $$ BEGIN
    IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'momus_reader') THEN
        GRANT SELECT ON api.transfers TO momus_reader;
    END IF;
EXCEPTION WHEN insufficient_privilege THEN
    RAISE WARNING USING MESSAGE = 'The role momus_reader may not read api.transfers.';
END $$"""


def upgrade() -> None:
    """Make the table anew, with the kind, and its view. Of what an older database holds the kind cannot be known."""
    # The linter may be told so: both are made anew, and the table is empty.
    op.execute(_REFUSE)
    op.execute("-- squawk-ignore ban-drop-view\nDROP VIEW api.transfers")
    op.execute("-- squawk-ignore ban-drop-table\nDROP TABLE ledger.transfers")
    op.execute(_TABLE)
    sides = (f"CASE WHEN t.kind <> {kind} THEN encode(t.{side}, 'hex') END" for kind, side in _MISSING)
    op.execute(_VIEW.format(" (ARRAY['transfer', 'mint', 'burn'])[t.kind + 1] AS kind,", *sides))
    op.execute(f"COMMENT ON VIEW api.transfers IS '{_COMMENT}'")
    for column, text in _COLUMNS.items():
        quoted = text.replace("'", "''")
        op.execute(f"COMMENT ON COLUMN api.transfers.{column} IS '{quoted}'")
    op.execute(_GRANT)


def downgrade() -> None:
    """As it was, with all rows: an address of zeros is nobody."""
    op.execute("DROP VIEW api.transfers")
    op.execute("ALTER TABLE ledger.transfers DROP COLUMN kind")
    sides = (f"encode(nullif(t.{side}, {_ZEROS}), 'hex')" for _, side in _MISSING)
    op.execute(_VIEW.format("", *sides))
    op.execute(_GRANT)
