"""What operators did to the node: a copy of its file of actions, and a view of it."""

from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

TABLE = """
CREATE TABLE ledger.admin_actions (
    number bigint PRIMARY KEY,
    at timestamptz NOT NULL,
    actor text NOT NULL,
    role text NOT NULL,
    action text NOT NULL,
    arguments jsonb NOT NULL,
    why text NOT NULL,
    outcome text NOT NULL,
    result jsonb,
    took_ms bigint
)"""

COMMENT = "What operators did to this node through its management, newest last; the file actions.jsonl is what counts."
QUERY = """SELECT a.number, a.at, a.actor, a.role, a.action, a.arguments, a.why, a.outcome, a.result,
    (a.took_ms / 1000.0)::numeric(18, 3) AS seconds
FROM ledger.admin_actions AS a"""
COLUMNS = {
    "number": "Number of the action, from 1.",
    "at": "When it was begun, by the node's clock.",
    "actor": "Whose token it was.",
    "role": "Its role: viewer, operator or admin.",
    "action": "What was done.",
    "arguments": "With which arguments.",
    "why": "Why, in the words of who did it.",
    "outcome": "done, failed, under way, or broken off: the node ended before the action did.",
    "result": "What came of it.",
    "seconds": "How long it took; NULL until it has ended.",
}

GRANT = """
DO $$ BEGIN
    IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'momus_reader') THEN
        GRANT SELECT ON api.admin_actions TO momus_reader;
    END IF;
EXCEPTION WHEN insufficient_privilege THEN
    RAISE WARNING USING MESSAGE = 'The role momus_reader may not read api.admin_actions.';
END $$"""


def upgrade() -> None:
    """Create the table and its view."""
    op.execute(TABLE)
    op.execute(f"CREATE VIEW api.admin_actions AS {QUERY}")
    op.execute(f"COMMENT ON VIEW api.admin_actions IS {_quoted(COMMENT)}")
    for column, text in COLUMNS.items():
        op.execute(f"COMMENT ON COLUMN api.admin_actions.{column} IS {_quoted(text)}")
    op.execute(GRANT)


def downgrade() -> None:
    """Drop them."""
    op.execute("DROP VIEW api.admin_actions")
    op.execute("DROP TABLE ledger.admin_actions")


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
