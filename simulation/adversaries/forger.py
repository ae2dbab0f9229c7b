"""A validator that forges certificates, and votes and proposals of others."""

from dataclasses import replace
from random import Random

from consensus.wire.messages import NO_DIGEST, Certificate, Kind, Proposal, Vote
from ledger.genesis import Genesis
from simulation.adversaries import Adversary
from simulation.parts.signatures import MemoKey


class Forger(Adversary):
    """Beside each vote of its own, votes of all others and a whole certificate, under signatures that are none."""

    def outgoing(self, topic: str, value: bytes) -> list[bytes]:
        message = self.wire.decode(value)
        if not isinstance(message, Vote):
            return [value]
        members = range(len(self.genesis.validators))
        kind = self.random.choice(list(Kind))
        digest = NO_DIGEST if kind is Kind.NULLIFY else max(message.digest, bytes(31) + b"1")
        signature = self.random.randbytes(64)
        votes = [Vote(kind, message.epoch, message.view, digest, member, signature) for member in members]
        others = [self.wire.encode(vote) for vote in votes if vote.validator != self.index]
        signatures = tuple((member, signature) for member in members)
        certificate = Certificate(kind, message.epoch, message.view, digest, signatures)
        return [value, self.wire.encode(certificate), *others]


class Duplicator(Adversary):
    """Makes a certificate of its own vote alone, counted as often as a quorum needs."""

    def outgoing(self, topic: str, value: bytes) -> list[bytes]:
        message = self.wire.decode(value)
        if not isinstance(message, Vote):
            return [value]
        copies = ((self.index, message.signature),) * len(self.genesis.validators)
        certificate = Certificate(message.kind, message.epoch, message.view, message.digest, copies)
        small = replace(certificate, signatures=copies[:1])
        return [value, self.wire.encode(certificate), self.wire.encode(small)]


class Impersonator(Adversary):
    """Says what others would say, signed by itself: their votes, and a proposal in every view that it votes in."""

    def __init__(self, genesis: Genesis, index: int, key: MemoKey, random: Random) -> None:
        super().__init__(genesis, index, key, random)
        self._last: Proposal | None = None

    def outgoing(self, topic: str, value: bytes) -> list[bytes]:
        message = self.wire.decode(value)
        if isinstance(message, Proposal):
            self._last = message
        if not isinstance(message, Vote):
            return [value]
        others = (member for member in range(len(self.genesis.validators)) if member != self.index)
        words = [self.signed(replace(message, validator=member)) for member in others]
        last = self._last
        if last is not None and message.view > last.view:
            header = replace(last.block.header, view=message.view, time_ms=last.block.header.time_ms + 1)
            words.append(self.proposal(replace(last, view=message.view), header))
        return [value, *words]
