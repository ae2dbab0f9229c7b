"""A validator that leaves for good, after a last word that only some have heard."""

from random import Random

from consensus.wire.messages import Kind, Proposal, Vote
from ledger.genesis import Genesis
from simulation.adversaries import Adversary
from simulation.parts.signatures import MemoKey


class Deserter(Adversary):
    """The log colludes: its last proposal reaches all but one, its vote for that only one; nobody can make it again."""

    def __init__(self, genesis: Genesis, index: int, key: MemoKey, random: Random) -> None:
        super().__init__(genesis, index, key, random)
        self._words = random.randrange(5, 60)
        self._last_view: int | None = None
        self._is_gone = False
        others = [member for member in range(len(genesis.validators)) if member != index]
        random.shuffle(others)
        self._deaf, self._chosen = others[0], others[-1]

    def outgoing(self, topic: str, value: bytes) -> list[bytes]:
        message = self.wire.decode(value)
        self._words -= 1
        if self._is_gone:
            return []
        if self._last_view is None and self._words <= 0 and isinstance(message, Proposal) and not message.is_reproposal:
            self._last_view = message.view
        elif self._last_view is not None:
            self._is_gone = True
            is_vote = isinstance(message, Vote) and message.kind is Kind.NOTARIZE and message.view == self._last_view
            return [value] if is_vote else []
        return [value]

    def hides(self, value: bytes, reader: int) -> bool:
        message = self.wire.decode(value)
        if self._last_view is None or not isinstance(message, Proposal | Vote) or message.view != self._last_view:
            return False
        return reader == self._deaf if isinstance(message, Proposal) else reader != self._chosen
