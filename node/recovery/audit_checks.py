"""What an audit checks, and where each check is done. The audit walks the parts in this order; docs/recovery.md has
the table.

A new check: a function that adds to `Findings`, called by its part in `audit.py`, and a row here.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from node.recovery.audit_certificates import audit_certificates, certificate_fault
from node.recovery.audit_store import StoreAudit, audit_journal
from projections.audit.audit import audit_state
from projections.audit.chain import check_checkpoints, check_cursor
from projections.audit.history import compare_history
from projections.audit.rows import RowAudit, check_remembered
from projections.audit.tree import audited_root, check_stale, walk

CHECKPOINTS, STATE, STORE, HISTORY = "checkpoints", "state", "store", "history"


@dataclass(frozen=True, slots=True)
class Check:
    """`name`: the place that its findings name. `what` must hold; `done_by` finds what does not."""

    part: str
    name: str
    what: str
    done_by: Callable[..., object]

    @property
    def place(self) -> str:
        """The module and the function."""
        return f"{self.done_by.__module__}.{self.done_by.__qualname__}"


CHECKS: Final = (
    Check(CHECKPOINTS, "cursor", "it is of this chain, at the newest block, and agrees with its row", check_cursor),
    Check(
        CHECKPOINTS,
        "checkpoints",
        "each hashes to its digest and follows the one before",
        check_checkpoints,
    ),
    Check(CHECKPOINTS, "certificates", "each is of its checkpoint, with a quorum", certificate_fault),
    Check(STATE, "changed_keys", "at a checkpoint no key is noted as changed since", audit_state),
    Check(STATE, "tree_root", "it is the root of the newest checkpoint", audited_root),
    Check(STATE, "tree_nodes", "each hashes to what its parent has, none is missing or stray", walk),
    Check(STATE, "tree_leaves", "each is the one under the root, none is missing or stray", RowAudit.run),
    Check(STATE, "state", "each row, named by its table, is the one under the root", RowAudit.run),
    Check(STATE, "tree_stale", "what is marked as superseded was, and is there", check_stale),
    Check(STATE, "remembered", "digests of each bucket are those of its count and hash", check_remembered),
    Check(STORE, "final blocks", "each header reads, follows the one before, is proven final", StoreAudit.run),
    Check(STORE, "blocks", "each row of the database has the digest of the stored header", StoreAudit.run),
    Check(STORE, "partition", "records hash to the heads of their block", StoreAudit.run),
    Check(
        STORE, "stored certificates", "each has a quorum, and is of the checkpoint in the database", audit_certificates
    ),
    Check(STORE, "journal", "it reads, and is that of a validator of this genesis", audit_journal),
    Check(HISTORY, "history", "each row, named by its table, is the one that replay gives", compare_history),
)
PARTS: Final = tuple(dict.fromkeys(check.part for check in CHECKS))


def checks_table() -> list[str]:
    """In Markdown, a line a check."""
    rows = [f"| {check.part} | `{check.name}` | {check.what} | `{check.place}` |" for check in CHECKS]
    return ["| part | findings name | what must hold | checked in |", "|---|---|---|---|", *rows]
