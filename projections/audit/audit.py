"""The state of a database against its newest checkpoint, as of one moment: tree, rows, cursor, checkpoints."""

from collections.abc import Callable
from dataclasses import dataclass

from ledger.genesis import Genesis
from projections.audit.chain import AuditedCheckpoint, CursorRow, check_checkpoints, check_cursor
from projections.audit.findings import Findings
from projections.audit.rows import RowAudit, check_remembered, kept_leaves, live_rows
from projections.audit.tree import audited_root, check_stale, walk
from projections.session.connect import Connection


@dataclass(frozen=True, slots=True)
class StateAudited:
    """How many rows there are, and how many of them changed since the checkpoint of `checkpoint_height` (0: none), so
    that its root does not cover them; `unknown`: how many cannot be compared, since the tree above them is damaged."""

    rows: int
    changed: int
    unknown: int
    checkpoint_height: int


def audit_chain(
    connection: Connection,
    genesis: Genesis,
    findings: Findings,
    on_checkpoint: Callable[[AuditedCheckpoint], None],
) -> tuple[CursorRow | None, AuditedCheckpoint | None]:
    """Cursor and checkpoints, each checkpoint handed on; the cursor and the newest checkpoint."""
    place = check_cursor(connection, genesis, findings)
    newest = None
    for newest in check_checkpoints(connection, genesis, 0 if place is None else place.height, findings):
        on_checkpoint(newest)
    return place, newest


def audit_state(
    connection: Connection,
    genesis: Genesis,
    newest: AuditedCheckpoint | None,
    changed: frozenset[bytes],
    is_at_checkpoint: bool,
    findings: Findings,
    on_row: Callable[[int], None] = lambda rows: None,
) -> StateAudited:
    """Every row against the root of the newest checkpoint. `changed`: from `audit_rows.begin` of this transaction;
    `is_at_checkpoint`: whether nothing has been executed since."""
    if is_at_checkpoint and changed:
        findings.add("changed_keys", "all", f"{len(changed)} keys are noted as changed since the newest checkpoint.")
        changed = frozenset()
    root = audited_root(connection, bytes(32) if newest is None else newest.state_root, findings)
    audit = RowAudit(changed, findings, on_row)
    live = live_rows(connection, genesis, with_genesis=newest is not None)
    audit.run(walk(connection, root, findings), kept_leaves(connection), live)
    check_stale(connection, 0 if newest is None else newest.height, findings)
    check_remembered(connection, findings)
    return StateAudited(audit.rows, audit.changed, audit.unknown, 0 if newest is None else newest.height)
