"""An index of the history that has no other yet, and what reads it: statements of an address are quick at once. And
who holds an asset.

How a slice is packed: `projections.rows.live_index`.
"""

from alembic import op

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None

# What a database has already gets the indexes of closed partitions: no slice leads to it.
_INDEX_ALL = """DO $$
DECLARE
    reached bigint := coalesce((SELECT c.height FROM ledger.cursor AS c), 0);
    name text;
    wanted record;
BEGIN
    IF reached = 0 THEN
        RETURN;
    END IF;
    FOR wanted IN SELECT * FROM (VALUES
        ('transactions', 'digest', '(encode(digest, ''hex''))'),
        ('transactions', 'signer', '(encode(signer, ''hex''), height)'),
        ('transfers', 'sender', '((CASE WHEN kind <> 1 THEN encode(sender, ''hex'') END), height)'),
        ('transfers', 'recipient', '((CASE WHEN kind <> 2 THEN encode(recipient, ''hex'') END), height)'),
        ('transfers', 'asset', '(encode(asset, ''hex''), height)'),
        ('rejections', 'digest', '(encode(digest, ''hex''))'),
        ('rejections', 'signer', '(encode(signer, ''hex''), height)'),
        ('object_versions', 'object', '(encode(object, ''hex''), version)')
    ) AS v (parent, label, columns) LOOP
        FOR name IN
            SELECT c.relname FROM pg_inherits AS i JOIN pg_class AS c ON c.oid = i.inhrelid
            WHERE i.inhparent = ('ledger.' || wanted.parent)::regclass
                AND right(c.relname, 10)::bigint * (SELECT l.partition_heights FROM ledger.layout AS l) <= reached
        LOOP
            EXECUTE format('CREATE INDEX IF NOT EXISTS %I ON ledger.%I %s',
                name || '_' || wanted.label, name, wanted.columns);
        END LOOP;
    END LOOP;
    UPDATE ledger.layout SET indexed_below = reached + 1;
END $$"""

_TABLE = """
CREATE TABLE ledger.live_index (
    indexed smallint NOT NULL,
    slice bigint NOT NULL,
    number integer NOT NULL,
    first_key bigint NOT NULL,
    last_key bigint NOT NULL,
    heads bytea NOT NULL,
    ends bytea NOT NULL,
    places bytea NOT NULL,
    versions bytea NOT NULL,
    PRIMARY KEY (indexed, slice, first_key, number)
)"""

_SLICES = """
CREATE TABLE ledger.live_slices (
    slice bigint PRIMARY KEY,
    entries bigint NOT NULL
)"""

_BELOW = """
CREATE FUNCTION api.indexed_below() RETURNS bigint LANGUAGE sql STABLE PARALLEL SAFE SECURITY DEFINER
SET search_path = pg_catalog
RETURN (SELECT l.indexed_below FROM ledger.layout AS l)"""
_SAID_OF_BELOW = "Rows of history below this height are indexed by address, asset, object and digest."

# Slice by slice, and in each only the rows whose span of keys has the one that is looked for. Those of one key lie
# side by side, in the order of their places; the first of them may begin in a row of lower keys.
_PLACES = """
CREATE FUNCTION api.live_places(
    indexed_column text, id text, newest boolean DEFAULT true, rows_max bigint DEFAULT NULL,
    beyond_height bigint DEFAULT NULL, beyond_index bigint DEFAULT NULL, beyond_version bigint DEFAULT NULL
) RETURNS TABLE (height bigint, index integer) LANGUAGE plpgsql STABLE ROWS 100 SECURITY DEFINER
SET search_path = pg_catalog AS $$
DECLARE
    wanted constant smallint := array_position(ARRAY[
        'transfers.sender', 'transfers.recipient', 'transfers.asset', 'transactions.signer', 'transactions.digest',
        'rejections.signer', 'rejections.digest', 'object_history.object'
    ], indexed_column) - 1;
    key constant bigint := ('x' || substr(id, 1, 12))::bit(48)::bigint >> 7;
    head constant bytea := decode(substr(id, 1, 32), 'hex');
    way constant integer := CASE WHEN newest THEN -1 ELSE 1 END;
    below constant bigint := api.indexed_below();
    at bigint;
    span record;
    found bigint;
    room bigint := rows_max;
    first constant bigint := coalesce((SELECT max(l.slice) FROM ledger.live_slices AS l
        WHERE l.slice <= beyond_height), 0);
BEGIN
    FOR at IN
        SELECT l.slice FROM ledger.live_slices AS l
        WHERE CASE WHEN newest THEN l.slice <= coalesce(beyond_height, l.slice) ELSE l.slice >= first END
        ORDER BY way * l.slice
    LOOP
        FOR span IN
            SELECT s.* FROM (
                (SELECT l.* FROM ledger.live_index AS l
                WHERE l.indexed = wanted AND l.slice = at AND l.first_key < key
                ORDER BY l.first_key DESC, l.number DESC LIMIT 1)
                UNION ALL
                SELECT l.* FROM ledger.live_index AS l
                WHERE l.indexed = wanted AND l.slice = at AND l.first_key = key
            ) AS s WHERE s.last_key >= key ORDER BY way * s.number
        LOOP
            RETURN QUERY
            SELECT e.height, e.index FROM (
                SELECT at + substring(span.places FROM 8 * place + 1 FOR 4)::integer AS height,
                    substring(span.places FROM 8 * place + 5 FOR 4)::integer AS index,
                    CASE WHEN span.versions <> '' THEN substring(span.versions FROM 4 * place + 1 FOR 4)::integer END
                        AS version
                FROM generate_series(0, octet_length(span.ends) - 1) AS run, generate_series(
                    CASE WHEN run = 0 THEN 0 ELSE get_byte(span.ends, run - 1) END, get_byte(span.ends, run) - 1
                ) AS place
                WHERE substring(span.heads FROM 16 * run + 1 FOR 16) = head
            ) AS e
            WHERE e.height >= below
                AND (beyond_version IS NULL OR way * e.version > way * beyond_version)
                AND (beyond_height IS NULL OR way * e.height > way * beyond_height
                    OR e.height = beyond_height AND way * e.index > way * beyond_index)
            ORDER BY way * e.height, way * e.index;
            GET DIAGNOSTICS found = ROW_COUNT;
            room := room - found;
            IF room <= 0 THEN
                RETURN;
            END IF;
        END LOOP;
    END LOOP;
END $$"""
_SAID_OF_PLACES = (
    "Where rows with an id may lie that are not below indexed_below(): (height, index), of objects (height, "
    "transaction), newest or oldest first, rows_max or somewhat more. An id is known by its first half here."
)

# The primary key is by asset and address, and as bytes they have the order that they have as hex.
_HOLDERS = """
CREATE FUNCTION api.holders_of(
    asset text, newest boolean DEFAULT false, rows_max bigint DEFAULT NULL, beyond text DEFAULT NULL
) RETURNS SETOF text LANGUAGE sql STABLE ROWS 100 SECURITY DEFINER
SET search_path = pg_catalog
BEGIN ATOMIC
    (SELECT encode(b.address, 'hex') FROM ledger.balances AS b
    WHERE holders_of.newest AND b.asset = decode(holders_of.asset, 'hex')
        AND b.address < coalesce(decode(beyond, 'hex'), decode(repeat('ff', 33), 'hex'))
    ORDER BY b.address DESC LIMIT rows_max)
    UNION ALL
    (SELECT encode(b.address, 'hex') FROM ledger.balances AS b
    WHERE NOT holders_of.newest AND b.asset = decode(holders_of.asset, 'hex')
        AND b.address > coalesce(decode(beyond, 'hex'), ''::bytea)
    ORDER BY b.address LIMIT rows_max);
END"""
_HOLDERS_NAME = "api.holders_of(text, boolean, bigint, text)"
_SAID_OF_HOLDERS = "Who holds an asset: addresses in hex, in rising order or, newest, in falling order."
_PLACES_NAME = "api.live_places(text, text, boolean, bigint, bigint, bigint, bigint)"


def upgrade() -> None:
    """The table, how far history has other indexes, and what reads both."""
    op.execute(_TABLE)
    op.execute(_SLICES)
    op.execute("ALTER TABLE ledger.layout ADD COLUMN indexed_below bigint NOT NULL DEFAULT 0")
    op.execute(_INDEX_ALL)
    op.execute(_BELOW)
    op.execute(_PLACES)
    op.execute(_HOLDERS)
    op.execute(f"COMMENT ON FUNCTION {_HOLDERS_NAME} IS '{_SAID_OF_HOLDERS}'")
    op.execute(f"COMMENT ON FUNCTION api.indexed_below() IS '{_SAID_OF_BELOW}'")
    op.execute(f"COMMENT ON FUNCTION {_PLACES_NAME} IS '{_SAID_OF_PLACES}'")


def downgrade() -> None:
    """As it was."""
    op.execute(f"DROP FUNCTION {_HOLDERS_NAME}")
    op.execute(f"DROP FUNCTION {_PLACES_NAME}")
    op.execute("DROP FUNCTION api.indexed_below()")
    op.execute("ALTER TABLE ledger.layout DROP COLUMN indexed_below")
    op.execute("DROP TABLE ledger.live_slices")
    op.execute("DROP TABLE ledger.live_index")
