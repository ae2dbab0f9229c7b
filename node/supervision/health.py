"""Whether the node is well, with reasons when it is not: for /readyz, `momus status`, management and the web UI.

Made of files that its processes write; asks nobody.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from backbone.store import StoreDamaged, StoreReader
from ledger.committee import Committee
from ledger.genesis import Genesis
from ledger.header import Header, decode_header
from node.home import status
from node.home.context import NodeContext
from node.home.control import ControlFile
from node.home.known_peers import FRESH, Peer, peers
from node.home.layout import Home, HomeUnusable
from node.home.progress import ProgressFile
from node.home.status import Status, StatusFile
from node.ordering.clock import read_doubted_ms, what_is_wrong
from node.settings.tree import Settings
from node.supervision.process_names import NEEDED, optional_processes

BEHIND_BLOCKS_MAX: Final = 100
"""Fewer are on their way."""
REASONS_MAX: Final = 16


@dataclass(frozen=True, slots=True)
class Health:
    """`reasons` why it is not ready: sentences for a person; none where it is."""

    reasons: tuple[str, ...]

    @property
    def is_ready(self) -> bool:
        return not self.reasons

    def document(self) -> Mapping[str, object]:
        """As JSON has it."""
        return {"ready": self.is_ready, "reasons": list(self.reasons)}


def health_of(home: Home, settings: Settings, is_public: bool = False) -> Health:
    """As of now. Ready: it runs, hears the others, its clock and the chain's time agree, and its database is as far as
    the chain, as far as it can know.

    `is_public`: for whoever asks; without the words of processes and of the system, which name files, roles, hosts.
    """
    reasons = _processes(home, settings, is_public)
    try:
        context = NodeContext.at(home, settings)
        final, time_ms, executed = _heights(home, context.genesis)
        reasons += what_is_wrong(time_ms, read_doubted_ms(home.clock_file), settings.order.drift_ms)
        if final - executed > BEHIND_BLOCKS_MAX:
            reasons.append(f"The database is {final - executed:,} blocks behind the chain.")
        if settings.discovery.every_ms:
            reasons += _others(context.committees.current, peers(context), final)
    except (OSError, StoreDamaged, HomeUnusable) as error:
        reasons.append("What the node keeps in its home cannot be read." if is_public else str(error))
    return Health(tuple(reasons[:REASONS_MAX]))


def _processes(home: Home, settings: Settings, is_public: bool) -> list[str]:
    paused = ControlFile(home.control_file).read().paused
    is_embedded = settings.postgres.url_file is None and settings.postgres.url == "embedded"
    found = []
    for name in ("supervisor", *NEEDED, *(("postgres",) if is_embedded else ())):
        said = StatusFile(home.status_file(name)).read()
        if name in paused:
            found.append(f"{name} is paused; `momus admin resume` lets it go on.")
        elif said is None:
            found.append(f"{name} was never started.")
        elif said.seen != status.RUNNING:
            found.append(_sentence(said, is_public))
    for name in optional_processes(settings):
        # A node whose drills or API are paused or being started takes part all the same.
        said = StatusFile(home.status_file(name)).read()
        if said is not None and said.seen in (status.GONE, status.CRASHED, status.HALTED):
            found.append(_sentence(said, is_public))
    return found


def _sentence(said: Status, is_public: bool) -> str:
    detail = f": {said.detail.rstrip('.')}" if said.detail and not is_public else ""
    return f"{said.process} is {said.seen}{detail}."


def _heights(home: Home, genesis: Genesis) -> tuple[int, int, int]:
    """(height of the store, time of the block there, height of the database). Raises: OSError, StoreDamaged."""
    progress = ProgressFile(home.progress_file)
    try:
        with StoreReader(home.store) as store:
            newest, executed = store.newest_final(), progress.read()[0]
    finally:
        progress.close()
    if newest is None:
        return 0, 0, executed
    header = decode_header(newest.header_bytes, genesis.partitions)
    return newest.height, header.time_ms if isinstance(header, Header) else 0, executed


def _others(committee: Committee, rows: Sequence[Peer], final: int) -> list[str]:
    """What others say is their own word: only what more than a third of the power says counts."""
    heard = [(row.height or 0, index) for index, row in enumerate(rows) if row.is_self or row.state == FRESH]
    if not committee.is_quorum(index for _, index in heard):
        return [f"Only {len(heard)} of {len(rows)} validators are heard of, this one among them: no quorum."]
    heights = [at for at, _ in heard if committee.has_honest(index for height, index in heard if height >= at)]
    ahead = max(heights, default=final) - final
    return [f"This node is {ahead:,} blocks behind the others."] if ahead > BEHIND_BLOCKS_MAX else []
