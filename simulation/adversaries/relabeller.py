"""A validator that says again what others signed, under another label: another kind, view, epoch, digest or signer."""

from dataclasses import replace
from random import Random
from typing import Final

from consensus.wire.messages import NO_DIGEST, Kind, Message, Proposal, Vote
from consensus.wire.topics import consensus_topics
from ledger.committee import Committees
from ledger.genesis import Genesis
from ledger.header import Epoch
from simulation.adversaries import Adversary
from simulation.parts.signatures import MemoKey

HEARD_MAX: Final = 20


class Relabeller(Adversary):
    """Two of the latest words of anybody with each of its own, in its own topic or in that of the voter. The signatures
    are as they were."""

    def __init__(self, genesis: Genesis, index: int, key: MemoKey, random: Random) -> None:
        super().__init__(genesis, index, key, random)
        self._heard: list[Vote | Proposal] = []
        self._topics = consensus_topics(genesis, Committees.of(genesis).current)

    def on_record(self, topic: str, value: bytes) -> None:
        message = self.wire.decode(value)
        if isinstance(message, Vote | Proposal):
            self._heard = [*self._heard[1 - HEARD_MAX :], message]

    def outgoing(self, topic: str, value: bytes) -> list[bytes]:
        for message in self.random.sample(self._heard, min(2, len(self._heard))):
            member = message.validator if isinstance(message, Vote) else self.index
            where = self._topics[self.random.choice((self.index, member % len(self._topics)))]
            self.send_to(where, self.wire.encode(self._relabelled(message)))
        return [value]

    def _relabelled(self, message: Vote | Proposal) -> Message:
        view = message.view + self.random.choice((1, 2, len(self.genesis.validators)))
        if isinstance(message, Proposal):
            return replace(message, view=view)
        kind = self.random.choice([kind for kind in Kind if kind is not message.kind])
        digest = NO_DIGEST if kind is Kind.NULLIFY else self._digest(message)
        return self.random.choice(
            (
                replace(message, kind=kind, digest=digest),
                replace(message, view=view),
                replace(message, epoch=Epoch(message.epoch + 1)),
                replace(message, digest=message.digest if message.kind is Kind.NULLIFY else self._digest(message)),
                replace(message, validator=self.random.randrange(len(self.genesis.validators))),
            )
        )

    def _digest(self, vote: Vote) -> bytes:
        """Of a block that somebody proposed, if any was heard of."""
        proposed = [word.block.digest for word in self._heard if isinstance(word, Proposal)]
        return self.random.choice(proposed or [vote.digest])
