"""From what lies on disk to a core that may sign: the boot rules of DESIGN §6, each with its halt."""

from collections.abc import Iterable

from backbone.store import StoreReader, StoreWriter
from consensus.blocks import BlockReader, Proven
from consensus.core import Restored
from consensus.errors import JournalRolledBack, SecondInstance, StoreBehind
from consensus.journal import Journal
from consensus.messages import Block, Proposal, Vote, Wire, genesis_block
from ledger.genesis import Genesis
from ledger.rejection import Rejection


def restore(genesis: Genesis, wire: Wire, reader: BlockReader, journal: Journal, store: StoreWriter) -> Restored:
    """Bring the store up to the journal, and read what the core needs of both.

    Raises: JournalRolledBack, StoreBehind, StoreFailed.
    """
    finals = [_proven(reader, value) for value in journal.finals]
    _check_store(finals, store)
    for proven in finals:
        if proven.block.header.height > store.last_height():
            proof = reader.prove(proven.finalization, proven.descendants)
            store.append_final(proven.block.header.height, proven.block.header_bytes, proof)
    origin = genesis_block(genesis)
    own = tuple(_own(wire, value) for value in journal.own)
    if not finals:
        return Restored(origin, origin, None, own)
    checkpoint = _block(wire, journal.checkpoint) if journal.checkpoint else origin
    return Restored(finals[-1].block, checkpoint, finals[-1], own)


def unsent(wire: Wire, index: int, floor: int, journal: Journal, seen: Iterable[bytes | None]) -> list[bytes]:
    """Of our statements in the journal those that our own topic lacks; `seen` is that topic up to its end.

    Raises: SecondInstance, if the topic holds a statement of ours above `floor` that the journal does not.
    """
    missing = dict.fromkeys(journal.own)
    known = set(missing)
    for value in seen:
        if value is None:
            continue
        missing.pop(value, None)
        if value not in known:
            _check_foreign(wire, index, floor, value)
    return list(missing)


def unpublished(store: StoreReader, complete_height: int, heights_max: int = 1_000) -> list[tuple[int, bytes, bytes]]:
    """The final blocks (height, header bytes, proof) of which it is not known that the `blocks` topic holds them."""
    found: list[tuple[int, bytes, bytes]] = []
    while more := store.final_after(found[-1][0] if found else complete_height, heights_max):
        found.extend((final.height, final.header_bytes, final.proof) for final in more)
    return found


def _check_store(finals: list[Proven], store: StoreWriter) -> None:
    heights = [proven.block.header.height for proven in finals]
    if store.last_height() > (heights[-1] if heights else 0):
        raise JournalRolledBack(
            f"The store holds final block {store.last_height()}, the journal only {heights[-1] if heights else 0}: the "
            "journal was rolled back, for instance from a backup. Put the newest journal back; if it is gone, give "
            "this validator a fresh key."
        )
    if heights and store.last_height() + 1 < heights[0]:
        raise StoreBehind(
            f"The store ends with final block {store.last_height()}, the journal begins with {heights[0]}: the store "
            "was replaced by an older one. Put the newest store back."
        )


def _check_foreign(wire: Wire, index: int, floor: int, value: bytes) -> None:
    message = wire.decode(value)
    if not isinstance(message, Proposal | Vote) or message.view <= floor:
        return
    if isinstance(message, Vote) and message.validator != index:
        return
    if wire.is_authentic(message, lambda view: index):
        raise SecondInstance(
            f"Our topic holds a statement of view {message.view} under our key that the journal does not: the journal "
            "was rolled back, or the key is in use elsewhere. Put the newest journal back and stop the other instance; "
            "if it is gone, give this validator a fresh key."
        )


def _proven(reader: BlockReader, value: bytes) -> Proven:
    proven = reader.read(value)
    assert not isinstance(proven, Rejection), "the journal holds what we wrote"
    return proven


def _own(wire: Wire, value: bytes) -> Proposal | Vote:
    message = wire.decode(value)
    assert isinstance(message, Proposal | Vote), "the journal holds what we wrote"
    return message


def _block(wire: Wire, header_bytes: bytes) -> Block:
    block = wire.read_block(header_bytes)
    assert isinstance(block, Block), "the journal holds what we wrote"
    return block
