"""Making a snapshot: a process of its own, with the lowest priority, reads a view of the database, writes the files,
waits for the certificate, and only then offers the snapshot. Which are kept.
"""

import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection as Pipe
from typing import Final

import structlog

from backbone.store import StoreDamaged, StoreReader
from consensus.wire.checkpoint_messages import CheckpointCertificate, CheckpointWire
from node import wiring
from node.home.context import NodeContext
from node.home.locks import removing
from node.process.logging import start_logging
from node.process.parent_death import die_with_parent
from node.settings.tree import SnapshotSettings
from projections.session.errors import DatabaseUnavailable, DatabaseUnusable, StateDiffers
from projections.snapshots.exporting import imported_view
from sync.snapshots.export import Exported, export
from sync.snapshots.manifest import encode_manifest
from sync.snapshots.restore import BadSnapshot, open_snapshot
from sync.snapshots.stores import SnapshotStore, SnapshotStoreUnavailable

CERTIFICATE_WAIT_S: Final = 600.0
_POLL_S: Final = 0.2
_NICENESS: Final = 19
TROUBLE: Final = (
    DatabaseUnavailable,
    DatabaseUnusable,
    StateDiffers,
    StoreDamaged,
    SnapshotStoreUnavailable,
    OSError,
)
"""What keeps one from being made, and nothing else from going on."""

_log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Kept:
    """A snapshot that is offered."""

    height: int
    time_ms: int


def make_in_process(context: NodeContext, url: str, height: int, view: str, parent_pid: int, pipe: Pipe) -> None:
    """The process that makes one."""
    home, settings = context.home, context.settings
    die_with_parent(parent_pid)
    os.nice(_NICENESS)
    start_logging(settings.logging, home.path, "snapshot")
    place = wiring.snapshot_place(home, settings)
    try:
        make_snapshot(context, place, url, height, view, lambda: pipe.send(None))
        with removing(home) as may_remove:
            # What is to go now goes after the next snapshot as well.
            if may_remove:
                tidy(place, context, settings.snapshots)
    except TROUBLE as error:
        _log.warning("no snapshot was made", height=height, reason=str(error))


def make_snapshot(
    context: NodeContext,
    place: SnapshotStore,
    url: str,
    height: int,
    view: str,
    on_imported: Callable[[], None],
    wait_s: float = CERTIFICATE_WAIT_S,
) -> bool:
    """Make the snapshot of an exported view, unless it is there; whether it is offered: its certificate came in time.

    Raises: StateDiffers, DatabaseUnavailable, DatabaseUnusable, StoreDamaged, SnapshotStoreUnavailable, OSError.
    """
    genesis = context.genesis
    place.go_on()
    if height in place.heights() and is_offered(place, height, context):
        return True
    for abandoned in place.begun():
        place.remove(abandoned)
    began = time.monotonic()
    folder = place.staging(height)
    with imported_view(url, view, height) as connection:
        on_imported()
        exported = export(connection, height, folder)
    took_s = time.monotonic() - began
    with StoreReader(context.home.store) as store:
        certificate = _certificate(store, context.checkpoint_wire(), exported, wait_s)
        if certificate is None:
            _log.warning("no certificate of this state came for a snapshot", height=height)
            place.remove(height)
            return False
        header = store.final_after(height - 1, 1)[0].header_bytes
    manifest = exported.manifest(genesis, header, certificate)
    place.publish(height, encode_manifest(manifest))
    rows = sum(part.count for part in manifest.parts)
    _log.info("snapshot made", height=height, rows=rows, bytes=manifest.size_bytes, export_s=round(took_s, 2))
    return True


def tidy(place: SnapshotStore, context: NodeContext, settings: SnapshotSettings) -> list[int]:
    """Remove what is not kept: more than `keep_count`, older than `keep_ms` before the newest, or unreadable. Never
    the newest. The heights removed. Raises: SnapshotStoreUnavailable."""
    kept = offered(place, context)
    if not kept:
        return []
    good = [it for it in kept if not settings.keep_ms or it.time_ms >= kept[-1].time_ms - settings.keep_ms]
    stay = {it.height for it in good[-settings.keep_count :]}
    gone = [height for height in place.heights() if height not in stay and height < kept[-1].height]
    for height in gone:
        place.remove(height)
        _log.info("snapshot removed", height=height)
    return gone


def offered(place: SnapshotStore, context: NodeContext) -> Sequence[Kept]:
    """Those whose manifest and certificate are good, by rising height. Raises: SnapshotStoreUnavailable."""
    found = []
    for height in place.heights():
        try:
            snapshot = open_snapshot(place, height, context.genesis, context.committees)
        except BadSnapshot as error:
            _log.warning("a snapshot cannot be used", height=height, reason=str(error))
        else:
            found.append(Kept(height, snapshot.certified.header.time_ms))
    return found


def is_offered(place: SnapshotStore, height: int, context: NodeContext) -> bool:
    """Whether the manifest and the certificate of a snapshot are good. Raises: SnapshotStoreUnavailable."""
    try:
        open_snapshot(place, height, context.genesis, context.committees)
    except BadSnapshot:
        return False
    return True


def _certificate(store: StoreReader, wire: CheckpointWire, exported: Exported, wait_s: float) -> bytes | None:
    """That of the exported checkpoint, from the own store; None: none came in time, or it is of another state."""
    height = exported.checkpoint.height
    until = time.monotonic() + wait_s
    while True:
        found = store.certificates_after(height - 1, 1)
        if found and found[0].height == height:
            message = wire.decode(found[0].certificate)
            is_of_it = isinstance(message, CheckpointCertificate) and message.claim.checkpoint == exported.checkpoint
            return found[0].certificate if is_of_it else None
        if time.monotonic() > until:
            return None
        time.sleep(_POLL_S)
