"""A validator whose records are well formed and well signed, and whose fields say what no field may say."""

from dataclasses import replace
from random import Random
from typing import Final

from consensus.wire.checkpoint_messages import (
    CheckpointCertificate,
    CheckpointMessage,
    CheckpointSignature,
    CheckpointWire,
)
from consensus.wire.messages import NO_DIGEST, Block, Certificate, Kind, Message, Proposal, Statement, Vote
from ledger.checkpoint import encode_checkpoint
from ledger.committee import Committees
from ledger.genesis import Genesis
from ledger.header import Epoch
from ledger.rejection import Rejection
from simulation.adversaries import Adversary
from simulation.parts.signatures import MemoKey, verify_memoised

TOMBSTONE: Final = b""
"""Readers get no value where a record has no bytes."""


class OutOfRange(Adversary):
    """With one of its words in two, such a word of the same kind: of another epoch, of view 0, of a view before its
    block's, with heads of other partitions, with a digest where there is none or with none where there is one, of
    members that there are not, with another view's proposal; a record that is too long; one that has no value."""

    def __init__(self, genesis: Genesis, index: int, key: MemoKey, random: Random) -> None:
        super().__init__(genesis, index, key, random)
        self._checkpoints = CheckpointWire(genesis, Committees.of(genesis), verify_memoised)
        self._last: Proposal | None = None

    def on_record(self, topic: str, value: bytes) -> None:
        message = self.wire.decode(value)
        if isinstance(message, Proposal):
            self._last = message

    def outgoing(self, topic: str, value: bytes) -> list[bytes]:
        if self.random.randrange(2) or topic == self.genesis.topic_name("blocks"):
            return [value]
        message = self.wire.decode(value)
        wrong = self._of_checkpoints(value) if isinstance(message, Rejection) else self._of(message)
        return [self.random.choice([TOMBSTONE, value + bytes(self.wire.message_bytes_max), *wrong]), value]

    def _of(self, message: Message) -> list[bytes]:
        match message:
            case Vote():
                return [*map(self.signed, self._votes(message)), *map(self.wire.encode, self._certificates(message))]
            case Proposal():
                return [*map(self.signed, self._proposals(message))]
            case Certificate():
                return [*map(self.wire.encode, self._carrying(message))]

    def _votes(self, vote: Vote) -> list[Statement]:
        digest = self.random.randbytes(32) if vote.kind is Kind.NULLIFY else NO_DIGEST
        return [replace(vote, digest=digest), replace(vote, view=0), replace(vote, epoch=Epoch(vote.epoch + 1))]

    def _certificates(self, vote: Vote) -> list[Message]:
        """Its own signature, as that of all members and of one more."""
        members = range(len(self.genesis.validators) + 1)
        signatures = tuple((member, vote.signature) for member in members)
        made = Certificate(vote.kind, vote.epoch, vote.view, vote.digest, signatures)
        return [made, replace(made, signatures=signatures[:-1], view=0)]

    def _proposals(self, proposal: Proposal) -> list[Statement]:
        header = proposal.block.header
        blocks = (
            self.wire.block(replace(header, epoch=Epoch(header.epoch + 1))),
            self.wire.block(replace(header, heads=header.heads[:-1])),
            self._noise(proposal.block),
        )
        return [replace(proposal, view=header.view - 1), *(replace(proposal, block=block) for block in blocks)]

    def _carrying(self, certificate: Certificate) -> list[Message]:
        """A good certificate, with a proposal that is not of it or none at all."""
        last = self._last
        if last is None:
            return [replace(certificate, epoch=Epoch(certificate.epoch + 1))]
        noise = replace(last, view=certificate.view, block=self._noise(last.block))
        others = (last, replace(last, view=certificate.view), noise)
        return [replace(certificate, proposal=other) for other in others]

    def _noise(self, block: Block) -> Block:
        return replace(block, header_bytes=self.random.randbytes(60))

    def _of_checkpoints(self, value: bytes) -> list[bytes]:
        message = self._checkpoints.decode(value)
        if not isinstance(message, CheckpointSignature):
            return []
        claim, members = message.claim, len(self.genesis.validators)
        other = replace(claim.checkpoint, epoch=Epoch(claim.checkpoint.epoch + 1))
        foreign = replace(claim, checkpoint=other, checkpoint_bytes=encode_checkpoint(other))
        noise = replace(claim, checkpoint_bytes=self.random.randbytes(60))
        strangers = CheckpointCertificate(claim, ((members, message.signature),))
        words: list[CheckpointMessage] = [
            *(replace(message, claim=wrong) for wrong in (foreign, noise)),
            *(CheckpointCertificate(wrong, ((self.index, message.signature),)) for wrong in (foreign, noise)),
            replace(message, validator=members),
            strangers,
        ]
        return [value + bytes(self._checkpoints.message_bytes_max), *map(self._checkpoints.encode, words)]
