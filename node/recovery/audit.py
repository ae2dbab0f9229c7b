"""An audit of a whole node: state against its root, checkpoints and certificates, the store, history by replay."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Final

from backbone.store import StoreReader
from ledger.genesis import Genesis
from node import wiring
from node.home.context import NodeContext
from node.home.final_heads import gap_above
from node.home.locks import recovering
from node.recovery.audit_certificates import audit_certificates, certificate_fault
from node.recovery.audit_checks import CHECKPOINTS, HISTORY, PARTS, STATE
from node.recovery.audit_checks import STORE as STORE_PART
from node.recovery.audit_store import StoreAudit, audit_journal
from node.recovery.rebuild import LOG, SNAPSHOT, STORE, Rebuilt, RecoveryFailed, RecoverySources, rebuild
from node.recovery.replay import Step
from node.wiring.databases import beside, drop_database, renew_database
from projections.audit.audit import audit_chain, audit_state
from projections.audit.chain import AuditedCheckpoint, CursorRow, block_digests, checkpoint_digests
from projections.audit.findings import Findings
from projections.audit.history import compare_history
from projections.audit.rows import begin
from projections.maintenance.pruning import oldest_height
from projections.session.connect import Connection, connect
from projections.session.errors import DatabaseUnusable, translated

SCRATCH: Final = "momus_audit"
_STORE_PRUNED: Final = "SELECT coalesce(max(store_bytes_removed), 0) > 0 FROM ledger.pruning"

OnProgress = Callable[[str, int], None]
"""(what is done, how many so far)"""


@dataclass(slots=True)
class Part:
    """One part of an audit. `summary`: a sentence on what was checked."""

    name: str
    summary: str = ""
    findings: Findings = field(default_factory=Findings)
    seconds: float = 0.0


class Audit:
    """One audit of a home, as of one moment: a live node goes on meanwhile. Postgres must run.

    All of it is read in one transaction, so until it ends old partitions of history are not dropped.
    """

    def __init__(
        self,
        context: NodeContext,
        with_replay: bool,
        on_part: Callable[[Part], None],
        on_progress: OnProgress = lambda what, count: None,
    ) -> None:
        self._context = context
        self._home = context.home
        self._genesis = context.genesis
        self._with_replay = with_replay
        self._on_part = on_part
        self._on_progress = on_progress
        self._wire = context.checkpoint_wire()
        self._url = wiring.database_url(context.home, context.settings)
        self._changed: frozenset[bytes] = frozenset()
        self._place: CursorRow | None = None
        self._newest: AuditedCheckpoint | None = None
        self._certified = 0
        self._checkpoints = 0

    def run(self) -> list[Part]:
        """All parts, each told as it is done. Raises: DatabaseUnavailable, DatabaseUnusable."""
        with (
            recovering(self._home),
            translated(),
            connect(self._url, "momus audit") as connection,
            connection.transaction(),
        ):
            self._changed = begin(connection)
            return [self._part(name, connection) for name in PARTS if name != HISTORY or self._with_replay]

    def _part(self, name: str, connection: Connection) -> Part:
        part = Part(name)
        started = time.monotonic()
        self.RUNS[name](self, connection, part)
        part.seconds = round(time.monotonic() - started, 3)
        self._on_part(part)
        return part

    def _chain(self, connection: Connection, part: Part) -> None:
        on_checkpoint = partial(self._on_checkpoint, part)
        self._place, self._newest = audit_chain(connection, self._genesis, part.findings, on_checkpoint)
        part.summary = (
            f"{self._checkpoints:,} checkpoints, {self._certified:,} of them certified, "
            f"{self._checkpoints - self._certified:,} not certified."
        )

    def _on_checkpoint(self, part: Part, checkpoint: AuditedCheckpoint) -> None:
        self._checkpoints += 1
        self._on_progress("checkpoints", self._checkpoints)
        if checkpoint.certificate is None:
            return
        fault = certificate_fault(self._wire, checkpoint, checkpoint.certificate)
        if fault is None:
            self._certified += 1
        else:
            part.findings.add("certificates", f"height {checkpoint.height}", fault)

    def _state(self, connection: Connection, part: Part) -> None:
        place, newest, on_row = self._place, self._newest, partial(self._on_progress, "rows")
        is_at_checkpoint = place is not None and newest is not None and place.height == newest.height
        it = audit_state(connection, self._genesis, newest, self._changed, is_at_checkpoint, part.findings, on_row)
        part.summary = f"{it.rows:,} rows against the root of height {it.checkpoint_height}"
        part.summary += f"; {it.changed:,} changed since, which replay alone checks" if it.changed else ""
        part.summary += f"; {it.unknown:,} cannot be compared, the tree above them is damaged." if it.unknown else "."

    def _store(self, connection: Connection, part: Part) -> None:
        row = connection.execute(_STORE_PRUNED).fetchone()
        is_pruned = row is not None and bool(row[0])
        audit = StoreAudit(
            self._home.store,
            self._genesis,
            self._context.block_reader().verify,
            is_pruned,
            part.findings,
            lambda height, records: self._on_progress("records", records),
        )
        audit.run(block_digests(connection), self._height())
        known = partial(checkpoint_digests, connection)
        certificates = audit_certificates(self._home.store, self._wire, known, part.findings)
        audit_journal(self._home.journal_file, self._genesis, self._context.committees.current, part.findings)
        part.summary = (
            f"{audit.blocks:,} final blocks with their proofs, {audit.records:,} records, {certificates:,} "
            "certificates, the journal."
        )

    def _height(self) -> int:
        """Of the database."""
        return 0 if self._place is None else self._place.height

    def _on_step(self, step: Step) -> None:
        self._on_progress("records replayed", step.records)

    def _history(self, connection: Connection, part: Part) -> None:
        """Replayed from the store, or where that does not work from the log, to the height that is audited."""
        url, height = self._url, self._height()
        scratch = beside(url, SCRATCH)
        renew = partial(renew_database, url, SCRATCH)
        renew()
        spare = self._home.path / "audit-store"
        above = oldest_height(connection)
        with StoreReader(self._home.store) as stored:
            is_pruned = gap_above(stored, 0) is not None
        sources = RecoverySources.of_home(
            self._context,
            spare,
            allowed=(SNAPSHOT, LOG) if is_pruned else (STORE, SNAPSHOT, LOG),
            snapshot_max=above,
            on_step=self._on_step,
        )
        try:
            rebuilt = self._rebuilt(sources, scratch, height, renew, is_pruned)
            for sentence in rebuilt.tried:
                part.findings.add("store", "replay", sentence)
            begins = max(above, rebuilt.above)
            with connect(scratch) as replayed, replayed.transaction():
                rows = compare_history(connection, replayed, begins, part.findings)
            replays = f"{rebuilt.records:,} records replayed from the {rebuilt.source} to height {height}"
            part.summary = f"{rows:,} rows against {replays}."
            if begins > above:
                part.summary += f" What history has up to height {begins} could not be replayed: the store was pruned."
        except RecoveryFailed as error:
            part.findings.add("history", f"height {height}", f"It cannot be replayed: {error}")
            part.summary = "Nothing could be replayed."
        finally:
            drop_database(url, SCRATCH)

    def _rebuilt(
        self, sources: RecoverySources, scratch: str, height: int, renew: Callable[[], None], is_pruned: bool
    ) -> Rebuilt:
        """From where all of history can be replayed; of a pruned store at least from its oldest snapshot on.

        Raises: RecoveryFailed.
        """
        try:
            return rebuild(sources, scratch, height, renew)
        except RecoveryFailed:
            kept = sources.place.heights() if is_pruned and sources.place is not None else []
            if not kept:
                raise
            renew()
            return rebuild(replace(sources, allowed=(SNAPSHOT,), snapshot_max=kept[0]), scratch, height, renew)

    RUNS: Final = {CHECKPOINTS: _chain, STATE: _state, STORE_PART: _store, HISTORY: _history}
    """What does the checks of each part."""


def audited(url: str, genesis: Genesis) -> list[str]:
    """A sentence for each finding in the state of a database, without store or replay; one where it does not read."""
    findings = Findings()
    try:
        with translated(), connect(url, "momus audit") as connection, connection.transaction():
            changed = begin(connection)
            place, newest = audit_chain(connection, genesis, findings, lambda checkpoint: None)
            is_at_checkpoint = place is not None and newest is not None and place.height == newest.height
            audit_state(connection, genesis, newest, changed, is_at_checkpoint, findings)
    except DatabaseUnusable as error:
        return [str(error)]
    return [f"{found.where}, {found.key}: {found.what}" for found in findings.kept]
