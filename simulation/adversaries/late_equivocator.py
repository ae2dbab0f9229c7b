"""A validator that contradicts itself after the event: what it finalized, it then votes against."""

from dataclasses import replace
from random import Random

from consensus.wire.messages import NO_DIGEST, Kind, Proposal, Vote
from ledger.genesis import Genesis
from simulation.adversaries import Adversary
from simulation.parts.signatures import MemoKey


class LateEquivocator(Adversary):
    """With its finalize vote, and again with its next vote, when that view is over for most: another proposal, a
    notarize and a finalize vote for it, and a nullify vote."""

    def __init__(self, genesis: Genesis, index: int, key: MemoKey, random: Random) -> None:
        super().__init__(genesis, index, key, random)
        self._proposal: Proposal | None = None
        self._late: list[bytes] = []

    def outgoing(self, topic: str, value: bytes) -> list[bytes]:
        message = self.wire.decode(value)
        if isinstance(message, Proposal) and not message.is_reproposal:
            self._proposal = message
        if not isinstance(message, Vote):
            return [value]
        late, self._late = self._late, []
        if message.kind is Kind.FINALIZE:
            self._late = self._others(message)
        return [value, *late, *(self._late if self.random.randrange(2) else [])]

    def _others(self, vote: Vote) -> list[bytes]:
        own, words, digest = self._proposal, [], self.random.randbytes(32)
        if own is not None and own.view == vote.view:
            header = own.block.header
            twin = self.wire.block(replace(header, time_ms=header.time_ms + 1))
            digest = twin.digest
            words.append(self.signed(replace(own, block=twin)))
        words += [self.signed(replace(vote, kind=kind, digest=digest)) for kind in (Kind.NOTARIZE, Kind.FINALIZE)]
        return [*words, self.signed(replace(vote, kind=Kind.NULLIFY, digest=NO_DIGEST))]
