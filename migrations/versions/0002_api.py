"""Schema `api`: what users query. Ids are hex text, times timestamptz; every view and column has a comment."""

from alembic import op

from ledger.rejection import Reason

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

_TIME = "timestamptz 'epoch' + {} * interval '1 millisecond'"
_OWNERSHIP = "(ARRAY['address', 'shared', 'immutable'])[{}.ownership + 1]"
_WRITERS = """(SELECT coalesce(array_agg(encode(w.writer, 'hex') ORDER BY w.writer), '{{}}')
            FROM ledger.object_writers AS w WHERE w.object = {})"""
_CONTENT = "CASE WHEN v.deleted THEN ''::bytea ELSE c.content END"
_ZEROS = r"'\x" + "00" * 32 + "'::bytea"

FUNCTIONS = (
    r"""
CREATE FUNCTION api.content_text(content bytea) RETURNS text LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE AS $$
BEGIN
    RETURN convert_from(content, 'UTF8');
EXCEPTION WHEN character_not_in_repertoire OR untranslatable_character THEN
    RETURN NULL;
END $$""",
    # jsonb writes numbers out in full: '1e131071' is 131,072 digits. Whoever writes an object must not be able to fill
    # the memory of whoever reads it, so numbers with an exponent of three digits stay text. 'statement_too_complex'
    # is what a server says to JSON that is nested thousands deep.
    r"""
CREATE FUNCTION api.content_json(content bytea) RETURNS jsonb LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE AS $$
DECLARE
    written text := api.content_text(content);
BEGIN
    RETURN CASE WHEN written !~ '[0-9][eE][+-]?[0-9]{3}' THEN written::jsonb END;
EXCEPTION WHEN data_exception OR program_limit_exceeded OR statement_too_complex THEN
    RETURN NULL;
END $$""",
    r"""
CREATE FUNCTION api.whole_units(amount bigint, decimals integer) RETURNS numeric
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
RETURN amount * ('1e-' || decimals)::numeric""",
    # Reads what readers may not, so it is pinned to it: a transaction's height while its digest is remembered.
    r"""
CREATE FUNCTION api.height_of(digest text) RETURNS bigint LANGUAGE sql STABLE STRICT PARALLEL SAFE SECURITY DEFINER
SET search_path = pg_catalog
RETURN (SELECT max(r.height) FROM ledger.remembered AS r WHERE r.digest = decode(height_of.digest, 'hex'))""",
)

FUNCTION_COMMENTS = {
    "content_text(bytea)": "The bytes as text; NULL where they are not UTF-8.",
    "content_json(bytea)": "The bytes as jsonb; NULL where they do not parse, or hold a number with an exponent of "
    "three digits or more.",
    "whole_units(bigint, integer)": "An amount in whole units of an asset with so many decimals, exact.",
    "height_of(text)": "The height of a transaction, by its digest in hex, at once; NULL unless it was accepted "
    "and has not expired yet.",
}

# view -> (comment, query, {column: comment})
VIEWS: dict[str, tuple[str, str, dict[str, str]]] = {
    "blocks": (
        "Final blocks, executed.",
        f"""SELECT b.height, encode(b.digest, 'hex') AS digest, encode(b.parent_digest, 'hex') AS parent_digest,
            b.epoch, b.view, b.proposer, {_TIME.format("b.time_ms")} AS "time", b.time_ms, b.heads, b.records,
            b.transactions, b.transfers, b.rejections
        FROM ledger.blocks AS b""",
        {
            "height": "Height; genesis is 0 and has no row.",
            "digest": "Block digest, hex.",
            "parent_digest": "Digest of the block before, hex.",
            "epoch": "Epoch of the committee.",
            "view": "View in which the block was proposed.",
            "proposer": "Index of the proposing validator.",
            "time": "Block time: the proposer's clock, always after the parent's.",
            "time_ms": "Block time in milliseconds since the Unix epoch.",
            "heads": "Log heads: partition, incarnation, end_offset, chain_digest (hex).",
            "records": "Records of the log that the block orders.",
            "transactions": "Transactions that executed.",
            "transfers": "Rows in api.transfers.",
            "rejections": "Transactions and records without effect, also those past the bound of rows.",
        },
    ),
    "transactions": (
        "Transactions that executed, in execution order (height, index).",
        f"""SELECT t.height, t.index, encode(t.digest, 'hex') AS digest, encode(t.signer, 'hex') AS signer,
            api.content_text(t.reference) AS reference, encode(t.reference, 'hex') AS reference_hex, t.commands,
            {_TIME.format("b.time_ms")} AS "time", {_TIME.format("t.expires_at_ms")} AS expires_at, t.partition,
            t."offset", t.item
        FROM ledger.transactions AS t JOIN ledger.blocks AS b USING (height)""",
        {
            "height": "Block.",
            "index": "Place among the executed transactions of the block, from 0.",
            "digest": "Transaction digest, hex.",
            "signer": "Address of the signer, hex.",
            "reference": "The client's own reference as text; NULL where it is not UTF-8.",
            "reference_hex": "The client's own reference, hex.",
            "commands": "Number of commands.",
            "time": "Block time.",
            "expires_at": "When it would have expired.",
            "partition": "Partition of the log.",
            "offset": "Offset in the partition.",
            "item": "Place in the record's batch, from 0.",
        },
    ),
    "rejections": (
        "What had no effect, and why; the first rejections_max of a block.",
        f"""SELECT r.height, r.index, r.reason AS code, s.name AS reason, s.sentence, encode(r.digest, 'hex') AS digest,
            encode(r.signer, 'hex') AS signer, api.content_text(r.reference) AS reference,
            {_TIME.format("b.time_ms")} AS "time", r.partition, r."offset", r.item
        FROM ledger.rejections AS r JOIN ledger.blocks AS b USING (height)
        LEFT JOIN api.reasons AS s ON s.code = r.reason""",
        {
            "height": "Block.",
            "index": "Place among the rejections of the block, from 0.",
            "code": "Reason code of the protocol.",
            "reason": "Name of the reason.",
            "sentence": "The reason as a sentence.",
            "digest": "Transaction digest, hex; NULL where nothing decoded.",
            "signer": "Address of the alleged signer, hex; NULL where nothing decoded.",
            "reference": "The client's own reference as text, where there is one.",
            "time": "Block time.",
            "partition": "Partition of the log.",
            "offset": "Offset in the partition.",
            "item": "Place in the record's batch; -1: the record as a whole.",
        },
    ),
    "transfers": (
        "Every movement of units: transfers, mints (no sender) and burns (no recipient).",
        f"""SELECT t.height, t.index, t.transaction, encode(t.asset, 'hex') AS asset,
            encode(nullif(t.sender, {_ZEROS}), 'hex') AS sender,
            encode(nullif(t.recipient, {_ZEROS}), 'hex') AS recipient, t.amount,
            api.whole_units(t.amount, a.decimals) AS decimal_amount, {_TIME.format("b.time_ms")} AS "time"
        FROM ledger.transfers AS t JOIN ledger.blocks AS b USING (height)
        LEFT JOIN ledger.assets AS a ON a.id = t.asset""",
        {
            "height": "Block.",
            "index": "Place among the transfers of the block, from 0.",
            "transaction": "api.transactions.index of its transaction.",
            "asset": "Asset id, hex.",
            "sender": "Address debited, hex; NULL: a mint.",
            "recipient": "Address credited, hex; NULL: a burn.",
            "amount": "Amount in the asset's smallest unit.",
            "decimal_amount": "Amount in whole units.",
            "time": "Block time.",
        },
    ),
    "balances": (
        "What every address holds now; a zero balance has no row.",
        """SELECT encode(b.address, 'hex') AS address, encode(b.asset, 'hex') AS asset, a.name AS asset_name, b.amount,
            api.whole_units(b.amount, a.decimals) AS decimal_amount
        FROM ledger.balances AS b JOIN ledger.assets AS a ON a.id = b.asset""",
        {
            "address": "Address, hex.",
            "asset": "Asset id, hex.",
            "asset_name": "Name of the asset; names are not unique, ids are.",
            "amount": "Amount in the asset's smallest unit.",
            "decimal_amount": "Amount in whole units.",
        },
    ),
    "assets": (
        "Assets.",
        """SELECT encode(a.id, 'hex') AS asset, a.name, a.decimals, encode(a.issuer, 'hex') AS issuer, a.supply,
            api.whole_units(a.supply, a.decimals) AS decimal_supply
        FROM ledger.assets AS a""",
        {
            "asset": "Asset id, hex.",
            "name": "Name; not unique.",
            "decimals": "Places behind the point of a whole unit.",
            "issuer": "The address that may mint, hex.",
            "supply": "Units in being, in the smallest unit.",
            "decimal_supply": "Units in being, whole.",
        },
    ),
    "objects": (
        "Objects as they are now.",
        f"""SELECT encode(o.id, 'hex') AS object, o.version, {_OWNERSHIP.format("o")} AS ownership,
            nullif(encode(o.owner, 'hex'), '') AS owner, {_WRITERS.format("o.id")} AS writers, t.type, c.media_type,
            api.content_text(c.content) AS content, api.content_json(c.content) AS content_json,
            c.content AS content_bytes
        FROM ledger.objects AS o LEFT JOIN ledger.object_types AS t ON t.object = o.id
        LEFT JOIN ledger.object_contents AS c ON c.object = o.id AND c.version = o.content_version""",
        {
            "object": "Object id, hex.",
            "version": "Version: 1 at creation, one more with each write.",
            "ownership": "address, shared or immutable.",
            "owner": "Address of the owner, hex; NULL unless ownership is address.",
            "writers": "Who may write a shared object; empty: anybody.",
            "type": "The creator's word for what it is.",
            "media_type": "Media type of the content.",
            "content": "Content as text; NULL where it is not UTF-8.",
            "content_json": "Content as jsonb; NULL where it does not parse (see the function content_json).",
            "content_bytes": "Content as it is.",
        },
    ),
    "object_history": (
        "Every version that objects had, one row a write.",
        f"""SELECT encode(v.object, 'hex') AS object, v.version, v.height, v.transaction, v.command,
            {_TIME.format("b.time_ms")} AS "time", v.deleted, {_OWNERSHIP.format("v")} AS ownership,
            nullif(encode(v.owner, 'hex'), '') AS owner,
            CASE WHEN v.ownership = 1 THEN {_WRITERS.format("v.object")} ELSE '{{}}' END AS writers, t.type,
            c.media_type, api.content_text({_CONTENT}) AS content, api.content_json({_CONTENT}) AS content_json,
            {_CONTENT} AS content_bytes
        FROM ledger.object_versions AS v JOIN ledger.blocks AS b USING (height)
        LEFT JOIN ledger.object_types AS t ON t.object = v.object
        LEFT JOIN ledger.object_contents AS c ON c.object = v.object AND c.version = v.content_version""",
        {
            "object": "Object id, hex.",
            "version": "Version that this write made.",
            "height": "Block.",
            "transaction": "api.transactions.index of its transaction.",
            "command": "Place of the command in its transaction, from 0.",
            "time": "Block time.",
            "deleted": "Whether this version is the object's end.",
            "ownership": "address, shared or immutable.",
            "owner": "Address of the owner, hex; NULL unless ownership is address.",
            "writers": "Who may write a shared object; empty: anybody.",
            "type": "The creator's word for what it is.",
            "media_type": "Media type of the content.",
            "content": "Content as text; NULL where it is not UTF-8.",
            "content_json": "Content as jsonb; NULL where it does not parse (see the function content_json).",
            "content_bytes": "Content as it is.",
        },
    ),
    "status": (
        "How far this database is.",
        f"""SELECT c.chain, c.height, {_TIME.format("c.time_ms")} AS "time", encode(c.block_digest, 'hex') AS digest,
            c.heads, CASE WHEN p.one THEN greatest(p.final_height, c.height) END AS final_height,
            CASE WHEN p.one THEN greatest(p.final_height - c.height, 0) END AS lag_blocks,
            p.seen_at AS final_height_seen_at, c.protocol_version,
            encode(c.genesis_digest, 'hex') AS genesis_digest, c.cluster_id, c.topic_id
        FROM ledger.cursor AS c LEFT JOIN ledger.progress AS p USING (one)""",
        {
            "chain": "Name of the chain.",
            "height": "Height of the last executed block.",
            "time": "Its block time.",
            "digest": "Its digest, hex.",
            "heads": "Its log heads.",
            "final_height": "Last final height that the node has told of; NULL before it told any.",
            "lag_blocks": "Final blocks that are not executed yet; NULL where final_height is.",
            "final_height_seen_at": "When the node told of it, by the server's clock.",
            "protocol_version": "Protocol version.",
            "genesis_digest": "Digest of the genesis file, hex.",
            "cluster_id": "Identity of the log's cluster.",
            "topic_id": "Identity of the transactions topic.",
        },
    ),
}

REASON_COLUMNS = {
    "code": "Reason code of the protocol.",
    "name": "Name of the reason.",
    "sentence": "The reason as a sentence.",
}

INDEXES = (
    "CREATE INDEX balances_address_hex ON ledger.balances (encode(address, 'hex'))",
    "CREATE INDEX objects_id_hex ON ledger.objects (encode(id, 'hex'))",
)
"""For filters by hex text. Neither column ever changes, so an update of the row stays within its page."""

READER = """
DO $$
BEGIN
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'momus_reader') THEN
        CREATE ROLE momus_reader LOGIN;
        ALTER ROLE momus_reader SET statement_timeout = '30s';
        ALTER ROLE momus_reader SET default_transaction_read_only = on;
    END IF;
EXCEPTION
    WHEN insufficient_privilege THEN
        RAISE WARNING USING MESSAGE = 'The role momus_reader was not made: ' || current_user || ' may not make roles.';
    WHEN duplicate_object OR unique_violation THEN
        NULL;
END $$"""

GRANTS = """
DO $$
BEGIN
    IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'momus_reader') THEN
        GRANT USAGE ON SCHEMA api TO momus_reader;
        GRANT SELECT ON ALL TABLES IN SCHEMA api TO momus_reader;
        IF pg_has_role(current_user, 'momus_reader', 'SET') IS NOT TRUE THEN
            GRANT momus_reader TO CURRENT_USER;
        END IF;
    END IF;
EXCEPTION WHEN insufficient_privilege THEN
    RAISE WARNING USING MESSAGE = 'The role momus_reader is not for ' || current_user || ' to take on.';
END $$"""


def upgrade() -> None:
    """Create the schema, its functions and views, and a role that may only read them, where that is allowed."""
    op.execute("CREATE SCHEMA api")
    op.execute("COMMENT ON SCHEMA api IS 'Momus for users: views over what consensus has ordered.'")
    for statement in (*FUNCTIONS, *INDEXES):
        op.execute(statement)
    for signature, comment in FUNCTION_COMMENTS.items():
        op.execute(f"COMMENT ON FUNCTION api.{signature} IS {_quoted(comment)}")
    rows = ", ".join(f"({r.value}, {_quoted(r.name.lower())}, {_quoted(r.sentence)})" for r in Reason if r.value)
    op.execute(f"CREATE VIEW api.reasons AS SELECT * FROM (VALUES {rows}) AS r (code, name, sentence)")
    _comment("reasons", "Why things are rejected: the codes of the protocol.", REASON_COLUMNS)
    for view, (comment, query, columns) in VIEWS.items():
        op.execute(f"CREATE VIEW api.{view} AS {query}")
        _comment(view, comment, columns)
    op.execute(READER)
    op.execute(GRANTS)


def downgrade() -> None:
    """Drop the schema; the role stays, other databases of the server may use it."""
    for view in reversed(VIEWS):
        op.execute(f"DROP VIEW api.{view}")
    op.execute("DROP VIEW api.reasons")
    for signature in reversed(FUNCTION_COMMENTS):
        op.execute(f"DROP FUNCTION api.{signature}")
    op.execute("DROP SCHEMA api")
    op.execute("DROP INDEX ledger.balances_address_hex")
    op.execute("DROP INDEX ledger.objects_id_hex")


def _comment(view: str, comment: str, columns: dict[str, str]) -> None:
    op.execute(f"COMMENT ON VIEW api.{view} IS {_quoted(comment)}")
    for column, text in columns.items():
        op.execute(f'COMMENT ON COLUMN api.{view}."{column}" IS {_quoted(text)}')


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
