"""From what lies on disk to a core that may sign: the boot rules of docs/protocol.md, *Booting*, each with its halt."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from consensus.core.state import Restored
from consensus.runtime.errors import JournalRolledBack, SecondInstance, StoreBehind
from consensus.runtime.journal import Journal
from consensus.runtime.ports import StorePort
from consensus.wire.final_blocks import BlockReader, Proven
from consensus.wire.messages import Block, Certificate, Proposal, Vote, Wire, genesis_block
from ledger.block import FinalBlock
from ledger.genesis import Genesis
from ledger.rejection import Rejection


@dataclass(frozen=True, slots=True)
class Boot:
    """What a validator's loop begins with."""

    restored: Restored
    unsent: tuple[bytes, ...]
    """Our statements that our own topic lacks: sent again first of all."""
    positions: Mapping[str, int]
    given: tuple[FinalBlock, ...] = ()
    """Final blocks that the journal had and the store lacked: the store has them now, and nobody else knows of them."""


class Booter:
    """Reads journal and store of one validator. The journal is open, the store locked."""

    def __init__(self, genesis: Genesis, key: bytes, wire: Wire, reader: BlockReader, journal: Journal) -> None:
        """`key`: our own public one."""
        self._genesis = genesis
        self._key = key
        self._wire = wire
        self._reader = reader
        self._journal = journal

    def boot(
        self,
        store: StorePort,
        own_topic: Iterable[bytes | None],
        positions: Mapping[str, int],
    ) -> Boot:
        """Everything in order; `own_topic` holds its values up to its end.

        Raises: JournalRolledBack, StoreBehind, SecondInstance, StoreFailed.
        """
        finals = [self._proven(value) for value in self._journal.finals]
        given = self._give(finals, store)
        restored = self._restore(finals)
        unsent = self._unsent(own_topic)
        return Boot(restored, tuple(unsent), positions, given)

    def _give(self, finals: list[Proven], store: StorePort) -> tuple[FinalBlock, ...]:
        """Bring the store up to the journal; what it was given."""
        _check_store(finals, store)
        given = []
        for proven in finals:
            block = proven.block
            if block.header.height > store.last_height():
                proof = self._reader.prove(proven.finalization, proven.descendants)
                store.append_final(block.header.height, block.header_bytes, proof)
                given.append(FinalBlock(block.header, block.header_bytes, block.digest, proof))
        return tuple(given)

    def _restore(self, finals: list[Proven]) -> Restored:
        """What the core needs of the journal."""
        origin = genesis_block(self._genesis)
        last = finals[-1] if finals else None
        return Restored(
            delivered=origin if last is None else last.block,
            checkpoint=self._block(self._journal.checkpoint) if self._journal.checkpoint else origin,
            last=last,
            floor=self._journal.floor,
            own=tuple(map(self._own, self._journal.own)),
            voted=tuple(filter(None, map(self._voted, self._journal.voted))),
            certificates=tuple(map(self._certificate, self._journal.certificates)),
            finalization=self._finalization(last),
        )

    def _unsent(self, own_topic: Iterable[bytes | None]) -> list[bytes]:
        missing = dict.fromkeys(self._journal.own)
        known = set(missing)
        for value in own_topic:
            if value is not None and value not in known:
                self._check_foreign(value)
            missing.pop(value or b"", None)
        return list(missing)

    def _check_foreign(self, value: bytes) -> None:
        message = self._wire.decode(value)
        if not isinstance(message, Proposal | Vote) or message.view <= self._journal.floor:
            return
        # A signature does not cover its voter's index: a vote of ours under another's is not ours, whoever wrote it.
        is_renamed = isinstance(message, Vote) and not self._wire.is_authentic(message)
        if self._wire.is_signed_with(self._key, message) and not is_renamed:
            raise SecondInstance(
                f"Our topic holds a statement of view {message.view} under our key that the journal does not: the "
                "journal was rolled back, or the key is in use elsewhere. Stop the other instance and put the newest "
                "journal back; if it is gone, give this validator a fresh key."
            )

    def _proven(self, value: bytes) -> Proven:
        proven = self._reader.read(value)
        assert not isinstance(proven, Rejection), "the journal holds what we wrote"
        return proven

    def _own(self, value: bytes) -> Proposal | Vote:
        message = self._wire.decode(value)
        assert isinstance(message, Proposal | Vote), "the journal holds what we wrote"
        return message

    def _voted(self, value: bytes) -> Proposal | None:
        """None in a journal of before, which holds the header alone: others have it with its leader's signature."""
        message = self._wire.decode(value)
        return message if isinstance(message, Proposal) else None

    def _certificate(self, value: bytes) -> Certificate:
        message = self._wire.decode(value)
        assert isinstance(message, Certificate), "the journal holds what we took for good"
        return message

    def _finalization(self, last: Proven | None) -> Certificate | None:
        """The highest that the journal has; that of a final block need not be it."""
        if self._journal.finalization is None:
            return None
        finalization = self._certificate(self._journal.finalization)
        is_known = last is not None and last.finalization.view >= finalization.view
        return None if is_known else finalization

    def _block(self, header_bytes: bytes) -> Block:
        block = self._wire.read_block(header_bytes)
        assert isinstance(block, Block), "the journal holds what we wrote"
        return block


def _check_store(finals: list[Proven], store: StorePort) -> None:
    heights = [proven.block.header.height for proven in finals]
    newest = heights[-1] if heights else 0
    if store.last_height() > newest:
        raise JournalRolledBack(
            f"The store holds final block {store.last_height()}, the journal only {newest}: the journal was rolled "
            "back, for instance from a backup. Put the newest journal back; if it is gone, give this validator a fresh "
            "key."
        )
    if heights and store.last_height() + 1 < heights[0]:
        raise StoreBehind(
            f"The store ends with final block {store.last_height()}, the journal begins with {heights[0]}: the store "
            "was replaced by an older one. Put the newest store back."
        )
