"""What stands at the top of a restored part is in the snapshot's manifest, which is verified first."""

from alembic import op

revision = "0012"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Forget it here."""
    op.execute("-- squawk-ignore ban-drop-column\nALTER TABLE ledger.restored_parts DROP COLUMN top")


def downgrade() -> None:
    """As it was; of a restore that is half done, no part."""
    op.execute("DELETE FROM ledger.restored_parts")
    op.execute("ALTER TABLE ledger.restored_parts ADD COLUMN top bytea NOT NULL")
