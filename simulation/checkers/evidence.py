"""Evidence: whoever contradicts itself before an honest, living validator is named by it in the same turn, with both
signed messages; nobody honest ever is. What anybody reads out of the topics afterwards names the same."""

from collections import defaultdict
from collections.abc import Mapping, Sequence

from consensus.wire.fork_evidence import culprits
from consensus.wire.messages import Block, Kind, Proposal, Statement, Vote
from ledger.committee import Committees
from simulation.checkers.checker import Checker, Evidence, Subject, Violation
from simulation.checkers.leaders import leader
from simulation.parts.signatures import verify_memoised
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


class Guilt(Checker):
    """`culprits` over all that the topics hold in the end. Topics may have lost what evidence was made of. Not where a
    history was made: who is behind it votes in views in which its key has signed that."""

    def __init__(self, subject: Subject) -> None:
        super().__init__(subject)
        self._shown: dict[int, list[Evidence]] = {}
        self._is_made = False

    def on_history(self, blocks: Sequence[Block], late: int) -> None:
        self._is_made = True

    def on_evidence(self, validator: SimValidator, evidence: Evidence) -> None:
        self._shown.setdefault(evidence.accused, []).append(evidence)

    def on_quiet(self, appended: Mapping[int, int]) -> None:
        if self._is_made:
            return
        genesis, values = self.subject.genesis, self.subject.log.all_values()
        named = {member for _, member in culprits(genesis, Committees.of(genesis), values, verify_memoised)}
        for member in sorted(named.intersection(self.subject.honest_members)):
            raise Violation(f"v{member} is named as a culprit, and is honest")
        there = frozenset(values)
        for accused, shown in self._shown.items():
            if accused not in named and any(self._is_there(evidence, there) for evidence in shown):
                raise Violation(f"the topics hold two messages that convict v{accused}, and nobody names it")

    def _is_there(self, evidence: Evidence, values: frozenset[bytes]) -> bool:
        return all(self.subject.wire.encode(it) in values for it in (evidence.first, evidence.second))


def _kind(message: Statement) -> str:
    return message.kind.name if isinstance(message, Vote) else "PROPOSE"


def _said(message: Statement) -> tuple[str, bytes]:
    return _kind(message), message.digest if isinstance(message, Vote) else message.block.digest


def _conflict(first: tuple[str, bytes], second: tuple[str, bytes]) -> bool:
    """What no honest validator ever says in one view: two of a kind, or nullify and finalize."""
    if first[0] == second[0]:
        return first[1] != second[1]
    return {first[0], second[0]} == {Kind.NULLIFY.name, Kind.FINALIZE.name}
