"""Evidence: whoever contradicts itself before an honest, living validator is named by it in the same turn, with both
signed messages; nobody honest ever is."""

from collections import defaultdict
from collections.abc import Sequence

from consensus.wire.messages import Kind, Proposal, Statement, Vote
from simulation.checkers.checker import Checker, Evidence, Subject, Violation
from simulation.checkers.leaders import leader
from simulation.parts.validator import SimValidator

_Life = tuple[int, int]
_Pair = tuple[int, int, frozenset[str]]
"""(signer, view, kinds of the two messages)."""


class CompleteEvidence(Checker):
    """Owed for direct votes and proposals above the last finalization, no more than so many views ahead.

    What a validator hears of a view that is over for it proves nothing to it any more: it keeps nothing of it.
    """

    def __init__(self, subject: Subject) -> None:
        super().__init__(subject)
        self._powers = [validator.power for validator in subject.genesis.validators]
        self._heard: dict[_Life, dict[tuple[int, int], set[tuple[str, bytes]]]] = defaultdict(lambda: defaultdict(set))
        self._shown: dict[_Life, set[_Pair]] = defaultdict(set)

    def on_evidence(self, validator: SimValidator, evidence: Evidence) -> None:
        signer, first, second = evidence.accused, evidence.first, evidence.second
        if self._signer(first) != signer or self._signer(second) != signer or first.view != second.view:
            raise Violation(f"{validator.name} accuses v{signer} with messages that are not both its own of one view")
        pair = frozenset((_kind(first), _kind(second)))
        if not _conflict(_said(first), _said(second)):
            raise Violation(f"{validator.name} accuses v{signer} with messages that do not contradict each other")
        if not all(self.subject.wire.is_authentic(message) for message in (first, second)):
            raise Violation(f"{validator.name} accuses v{signer} with messages that are not signed")
        self._shown[validator.seat, validator.life].add((signer, first.view, pair))

    def on_heard(self, validator: SimValidator, values: Sequence[bytes], view: int) -> None:
        if not self.subject.is_honest(validator) or validator.loop is None:
            return
        life, state = (validator.seat, validator.life), validator.loop.core.state
        for value in values:
            message = self.subject.wire.decode(value)
            if not isinstance(message, Proposal | Vote) or self._signer(message) in self.subject.honest_members:
                continue
            if not state.views.final_view < message.view <= view + state.settings.views_ahead_max:
                continue
            if self.subject.wire.is_authentic(message):
                self._add(validator, life, message)

    def _add(self, validator: SimValidator, life: _Life, message: Statement) -> None:
        signer = self._signer(message)
        said, new = self._heard[life][signer, message.view], _said(message)
        for other in said:
            pair = (signer, message.view, frozenset((other[0], new[0])))
            if _conflict(other, new) and pair not in self._shown[life]:
                what = " and ".join(sorted(pair[2]))
                raise Violation(
                    f"{validator.name} heard v{signer} say {what} in view {message.view}, and shows no evidence"
                )
        said.add(new)

    def _signer(self, message: Statement) -> int:
        return message.validator if isinstance(message, Vote) else leader(self._powers, message.view)


def _kind(message: Statement) -> str:
    return message.kind.name if isinstance(message, Vote) else "PROPOSE"


def _said(message: Statement) -> tuple[str, bytes]:
    return _kind(message), message.digest if isinstance(message, Vote) else message.block.digest


def _conflict(first: tuple[str, bytes], second: tuple[str, bytes]) -> bool:
    """What no honest validator ever says in one view: two of a kind, or nullify and finalize."""
    if first[0] == second[0]:
        return first[1] != second[1]
    return {first[0], second[0]} == {Kind.NULLIFY.name, Kind.FINALIZE.name}
