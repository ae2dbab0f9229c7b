"""Honesty: what no honest key ever signs, over all lives of its validator."""

from collections import defaultdict

from consensus.wire.messages import Kind, Message, Proposal, Vote
from simulation.checkers.checker import Checker, Subject, Violation
from simulation.parts.validator import SimValidator


class Honesty(Checker):
    """One proposal, one notarize and one finalize a view; never nullify and finalize; nothing of somebody else's."""

    def __init__(self, subject: Subject) -> None:
        super().__init__(subject)
        self._said: dict[tuple[int, int], dict[str, bytes]] = defaultdict(dict)

    def on_send(self, validator: SimValidator, value: bytes, message: Message) -> None:
        if isinstance(message, Proposal):
            self._say(validator, message.view, "PROPOSE", message.block.digest)
        elif isinstance(message, Vote):
            if message.validator != validator.index:
                raise Violation(f"v{validator.index} sends a vote of v{message.validator}")
            said = self._say(validator, message.view, message.kind.name, message.digest)
            if {Kind.NULLIFY.name, Kind.FINALIZE.name} <= said:
                raise Violation(f"v{validator.index} nullifies and finalizes view {message.view}")

    def _say(self, validator: SimValidator, view: int, what: str, digest: bytes) -> set[str]:
        said = self._said[validator.index, view]
        if said.setdefault(what, digest) != digest:
            raise Violation(f"v{validator.index} says {what} twice in view {view}, of different blocks")
        return set(said)
