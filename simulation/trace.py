"""Traces that a person can follow: one line per validator and event."""

from collections.abc import Callable
from functools import lru_cache

from backbone.store import StoredFinal
from consensus.wire.checkpoint_messages import CheckpointCertificate, CheckpointWire, speaks_of_checkpoints
from consensus.wire.messages import Certificate, Kind, Proposal, Vote, Wire
from ledger import digests
from ledger.committee import Committees
from ledger.genesis import Genesis
from ledger.rejection import Rejection
from simulation.parts.signatures import verify_memoised

_CERTIFICATES = {Kind.NOTARIZE: "notarization", Kind.NULLIFY: "nullification", Kind.FINALIZE: "finalization"}

Trace = Callable[[str], None]


@lru_cache(4)
def _wire(genesis: Genesis) -> Wire:
    return Wire(genesis, Committees.of(genesis), verify_memoised)


def sentence(genesis: Genesis, what: str, facts: object) -> str:
    """What happened, in words."""
    match facts:
        case None:
            return what
        case bytes():
            return f"{what} {message_in_words(genesis, facts)}"
        case StoredFinal(height, header_bytes):
            return f"{what} final height {height} {digests.block_digest(genesis.digest, header_bytes).hex()[:8]}"
        case (about, {**more}):
            shown = {name: _in_words(genesis, fact) for name, fact in more.items()}
            return f"{what} {about} {shown}"
        case _:
            return f"{what} {facts}"


def _in_words(genesis: Genesis, fact: object) -> object:
    return message_in_words(genesis, fact) if isinstance(fact, bytes) else fact


def message_in_words(genesis: Genesis, value: bytes) -> str:
    """A record's value as a few words."""
    if speaks_of_checkpoints(value):
        return _checkpoint_in_words(genesis, value)
    message = _wire(genesis).decode(value)
    match message:
        case Proposal(view=view, block=block):
            again = " again" if message.is_reproposal else ""
            return f"proposal {view} height {block.header.height} {block.digest.hex()[:8]}{again}"
        case Vote(kind=Kind.NULLIFY, view=view):
            return f"nullify {view}"
        case Vote(kind=kind, view=view, digest=digest):
            return f"{kind.name.lower()} {view} {digest.hex()[:8]}"
        case Certificate(kind=kind, view=view, digest=digest):
            return f"{_CERTIFICATES[kind]} {view} {digest.hex()[:8]}"
        case Rejection():
            return "a block" if len(value) > 200 else f"{len(value)} bytes"


def _checkpoint_in_words(genesis: Genesis, value: bytes) -> str:
    message = CheckpointWire(genesis, Committees.of(genesis), verify_memoised).decode(value)
    if isinstance(message, Rejection):
        return f"{len(value)} bytes on a checkpoint"
    what = "certificate" if isinstance(message, CheckpointCertificate) else "checkpoint"
    return f"{what} {message.claim.height} {message.claim.checkpoint.state_root.hex()[:8]}"
