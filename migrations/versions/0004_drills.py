"""Drills: results of rehearsed recoveries. And views of checkpoints and drills for users."""

from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

TABLE = """
CREATE TABLE ledger.drills (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    started_at timestamptz NOT NULL,
    report jsonb NOT NULL
)"""

# view -> (comment, query, {column: comment})
VIEWS: dict[str, tuple[str, str, dict[str, str]]] = {
    "checkpoints": (
        "What the state was after each checkpoint block, and whether two thirds of the power have signed it.",
        """SELECT c.height, timestamptz 'epoch' + c.time_ms * interval '1 millisecond' AS "time", c.epoch,
            encode(c.block_digest, 'hex') AS block_digest, encode(c.state_root, 'hex') AS state_root,
            encode(c.digest, 'hex') AS digest, encode(c.previous, 'hex') AS previous, s.height IS NOT NULL AS certified
        FROM ledger.checkpoints AS c LEFT JOIN ledger.certificates AS s USING (height)""",
        {
            "height": "Height of the checkpoint block.",
            "time": "Its block time.",
            "epoch": "Epoch of the committee.",
            "block_digest": "Its digest, hex.",
            "state_root": "Root of the tree over all that execution can read, hex.",
            "digest": "Checkpoint digest, hex.",
            "previous": "Digest of the checkpoint before, hex; of the first one the genesis digest.",
            "certified": "Whether this node holds its certificate.",
        },
    ),
    "drills": (
        "Drills: recoveries of this node's database, rehearsed into a scratch database.",
        """SELECT d.id AS drill, d.started_at, d.report ->> 'verdict' AS verdict, d.report ->> 'injected' AS injected,
            d.report ->> 'source' AS source, (d.report ->> 'height')::bigint AS height,
            (d.report ->> 'records')::bigint AS records, (d.report ->> 'seconds')::numeric AS seconds,
            (d.report ->> 'records_per_s')::numeric AS records_per_s, d.report
        FROM ledger.drills AS d""",
        {
            "drill": "Number of the drill.",
            "started_at": "When it began, by the node's clock.",
            "verdict": "passed, healed, detected or failed.",
            "injected": "The damage that was done to the copy first; NULL: none.",
            "source": "What the database was recovered from: snapshot, store or log.",
            "height": "The height that was rebuilt and compared.",
            "records": "Records of the log that were executed.",
            "seconds": "How long recovery took, without the comparison.",
            "records_per_s": "Records executed a second.",
            "report": "The whole report.",
        },
    ),
}

GRANT = """
DO $$ BEGIN
    IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'momus_reader') THEN
        GRANT SELECT ON api.checkpoints, api.drills TO momus_reader;
    END IF;
EXCEPTION WHEN insufficient_privilege THEN
    RAISE WARNING USING MESSAGE = 'The role momus_reader may not read api.checkpoints and api.drills.';
END $$"""


def upgrade() -> None:
    """Create the table and the views."""
    op.execute(TABLE)
    for view, (comment, query, columns) in VIEWS.items():
        op.execute(f"CREATE VIEW api.{view} AS {query}")
        op.execute(f"COMMENT ON VIEW api.{view} IS {_quoted(comment)}")
        for column, text in columns.items():
            op.execute(f'COMMENT ON COLUMN api.{view}."{column}" IS {_quoted(text)}')
    op.execute(GRANT)


def downgrade() -> None:
    """Drop them."""
    for view in reversed(VIEWS):
        op.execute(f"DROP VIEW api.{view}")
    op.execute("DROP TABLE ledger.drills")


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
