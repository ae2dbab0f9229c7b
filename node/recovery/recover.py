"""Recovery of a stopped node's database by the lightest path that works."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Final

from backbone.store import StoreReader
from consensus.wire.checkpoint_messages import CheckpointCertificate
from ledger.genesis import Genesis
from ledger.rejection import Rejection
from ledger.state import Cursor
from node.home.evidence import fork_reports, height_of, others_of, settled_height
from node.home.final_heads import gap_above
from node.recovery.audit import audited
from node.recovery.rebuild import Rebuilt, RecoverySources, rebuild
from projections.audit.fingerprint import ORDER
from projections.database import Database, DatabaseUnusable

CURSOR: Final = "cursor"
_NEWEST: Final = 1_000
_REPORTS_MAX: Final = 16


@dataclass(frozen=True, slots=True)
class Found:
    """What stands in the database. `wrong`: why a node cannot go on from it; None: it can. `is_begun`: a restore was
    broken off there, and may go on."""

    height: int
    wrong: str | None
    is_begun: bool = False


def look(url: str, sources: RecoverySources) -> Found:
    """Whether the database is one that execution can go on from. Raises: DatabaseUnavailable, StoreDamaged."""
    try:
        with Database(url) as database:
            cursor = database.cursor()
            if cursor is None and database.is_restoring():
                return Found(0, "a restore was broken off there", is_begun=True)
            if cursor is None:
                return Found(0, "it is empty")
            return Found(cursor.height, _wrong(database, url, cursor, sources))
    except DatabaseUnusable as error:
        return Found(0, str(error))


def recover(url: str, sources: RecoverySources, empty: Callable[[], None]) -> Rebuilt:
    """Bring the database to the end of the store, or of the log where the store cannot be used.

    `empty` empties the database. Raises: RecoveryFailed, DatabaseUnavailable, DatabaseUnusable, StoreDamaged.
    """
    found = look(url, sources)
    if found.wrong is None:
        return Rebuilt(CURSOR, found.height, 0)
    if not found.is_begun:
        empty()
    rebuilt = rebuild(replace(sources, is_begun=found.is_begun), url, None, empty)
    return replace(rebuilt, tried=(f"Skipped cursor at height {found.height}: {found.wrong}.", *rebuilt.tried))


def _wrong(database: Database, url: str, cursor: Cursor, sources: RecoverySources) -> str | None:
    genesis = sources.context.genesis
    missing = database.missing_tables(ORDER)
    if missing:
        return f"tables are missing: {', '.join(missing)}"
    if cursor.genesis_digest != genesis.digest:
        return f"it belongs to the chain {cursor.chain} with another genesis"
    with StoreReader(sources.store) as store:
        if store.last_height() < cursor.height:
            return f"the store ends at height {store.last_height()}, below it"
        begins = gap_above(store, cursor.height)
        if begins is not None:
            return f"the store begins at height {begins}, with a gap to it"
        own = {stored.checkpoint.height: stored.digest for stored in database.newest_checkpoints(_NEWEST)}
        return _contradicted(own, store, sources) or _outvoted(own, sources) or _altered(url, genesis)


def _altered(url: str, genesis: Genesis) -> str | None:
    """What an audit of the state names first."""
    found = audited(url, genesis)
    return f"the audit finds {len(found)} faults, the first: {found[0]}" if found else None


def _contradicted(own: Mapping[int, bytes], store: StoreReader, sources: RecoverySources) -> str | None:
    """A checkpoint of the database whose state root a quorum has certified to be another."""
    wire = sources.context.checkpoint_wire()
    for height, certificate in store.certificates_after(min(own, default=1) - 1, _NEWEST):
        message = wire.decode(certificate)
        if height not in own or not isinstance(message, CheckpointCertificate):
            continue
        if message.claim.digest != own[height] and wire.is_certified(message):
            return f"its state root at height {height} is not the certified one"
    return None


def _outvoted(own: Mapping[int, bytes], sources: RecoverySources) -> str | None:
    """A checkpoint of the database of which the node has reported that somebody honest has signed another: it stopped
    before there was a certificate. What is settled is of a database that was built anew since."""
    wire = sources.context.checkpoint_wire()
    settled = settled_height(sources.context.home.evidence)
    for report in fork_reports(sources.context.home.evidence)[-_REPORTS_MAX:]:
        if height_of(report) <= settled:
            continue
        behind: dict[bytes, set[int]] = {}
        for message in map(wire.decode, others_of(report)):
            if isinstance(message, Rejection) or own.get(message.claim.height, message.claim.digest) == (
                message.claim.digest
            ):
                continue
            if wire.is_authentic(message):
                members = message.members if isinstance(message, CheckpointCertificate) else (message.validator,)
                behind.setdefault(message.claim.digest, set()).update(members)
            if wire.committee_of(message.claim).has_honest(behind.get(message.claim.digest, ())):
                return f"at height {message.claim.height} more than a third of the power signed another state"
    return None
