"""Planted bugs in what is believed of others: headers, openings, labels, proofs, votes."""

from collections.abc import Callable, Iterable
from typing import Any

from consensus.core import views
from consensus.core.core import Core
from consensus.core.heads import LocalHeads, Outcome
from consensus.core.judge import Judge, Judgement
from consensus.core.record_repair import RecordRepair
from consensus.core.state import State
from consensus.core.voting import Voting
from consensus.runtime.boot import Booter
from consensus.runtime.errors import SecondInstance
from consensus.wire import messages
from consensus.wire.messages import Kind, Proposal, Vote, Wire
from consensus.wire.tally import Tally
from ledger.committee import FIRST_EPOCH, Committee
from ledger.header import Header, Opening
from simulation.mutants.mutant import Mutant

_AMOUNT: Callable[..., tuple[int, int]] = LocalHeads.amount
_CHILD: Callable[..., Judgement] = Judge._child
_TIME_OUT: Callable[..., None] = Voting.time_out
_REPORT: Callable[..., None] = Core._report
_SIGNING_BYTES: Callable[..., bytes] = Wire.signing_bytes
_VOTE_BYTES: Callable[..., bytes] = Wire._vote_bytes

_FIELDS = ("protocol_version", "epoch", "proposer", "parent_view", "seal")


def _well_formed_but_for(field: str) -> Callable[[Any, Header], bool]:
    def is_well_formed(self: Any, header: Header) -> bool:
        good = {
            "protocol_version": header.protocol_version == self._genesis.protocol_version,
            "epoch": header.epoch == self._committee.epoch,
            "proposer": header.proposer == self._committee.leader(header.view),
            "parent_view": header.parent_view < header.view,
            "seal": header.seal is None,
        }
        return all(good[name] for name in _FIELDS if name != field)

    return is_well_formed


def _no_record_counts(self: Any, parent: Any, heads: Any) -> tuple[int, int]:
    return 0, _AMOUNT(self, parent, heads)[1]


def _no_byte_counts(self: Any, parent: Any, heads: Any) -> tuple[int, int]:
    return _AMOUNT(self, parent, heads)[0], 0


def _from_any_future(self: Any, proposal: Proposal, time_ms: int, may_advance: bool) -> Judgement:
    return _CHILD(self, proposal, proposal.block.header.time_ms, may_advance)


def _every_opening_is_shown(self: Any, openings: Iterable[Opening]) -> bool:
    return True


def _shown_from_anywhere(self: Any, openings: Iterable[Opening]) -> bool:
    known = [(partition, seen.incarnation, seen.topic_id) for partition, seen in self._shown.items()]
    return all((opening.partition, opening.incarnation, opening.topic_id) in known for opening in openings)


def _drop_at_once(self: Any, block: Any, view: int, now_ms: int) -> Any:
    """As it once was: what contradicts us is read again, whoever says it."""
    heads = [head for head in block.header.heads if self._heads.outcome_of(head) is Outcome.CONTRADICTED]
    if any(self._is_vain(head, view) or not self._is_due(head.partition, now_ms) for head in heads):
        return None
    for head in heads:
        self._looked_in[head.partition] = view
    return [self._reread(head.partition, self._settled_end(head.partition), None, now_ms) for head in heads]


def _leave_when_time_is_out(self: Any) -> None:
    _TIME_OUT(self)
    view_state = self._state.views.get(self._state.view)
    if view_state is not None and view_state.own.has_signed(Kind.NULLIFY):
        self._state.view += 1
        self._state.timers.entered(self._state.now_ms)


class _CountingRecords(Tally):
    """The power of all votes that came, of whomever and however often."""

    def __init__(self, kind: Kind, view: int) -> None:
        super().__init__(kind, view)
        self.said: list[Vote] = []

    def holds(self, vote: Vote) -> bool:
        return False

    def add(self, vote: Vote) -> None:
        super().add(vote)
        self.said.append(vote)

    def certificate(self, digest: bytes, committee: Committee) -> messages.Certificate | None:
        votes = self._by_digest.get(digest, {})
        if not committee.is_quorum(vote.validator for vote in self.said if vote.digest == digest):
            return None
        signatures = tuple((member, votes[member].signature) for member in sorted(votes))
        return messages.Certificate(self._kind, FIRST_EPOCH, self._view, digest, signatures)


def _report_one(self: Any, view_state: Any, validator: int, *facts: Any) -> None:
    if all(accused == validator for accused, _ in view_state.evidence):
        _REPORT(self, view_state, validator, *facts)


def _of_any_kind(self: Any, kind: Kind, epoch: Any, view: int, digest: bytes) -> bytes:
    return _VOTE_BYTES(self, Kind.NOTARIZE, epoch, view, digest)


def _of_any_view(self: Any, kind: Kind, epoch: Any, view: int, digest: bytes) -> bytes:
    return _VOTE_BYTES(self, kind, epoch, 1, digest)


def _of_any_digest(self: Any, kind: Kind, epoch: Any, view: int, digest: bytes) -> bytes:
    return _VOTE_BYTES(self, kind, epoch, view, messages.NO_DIGEST)


def _proposal_of_any_view(self: Any, statement: Any) -> bytes:
    if isinstance(statement, Proposal):
        return _SIGNING_BYTES(self, Proposal(statement.block.header.view, statement.block))
    return _SIGNING_BYTES(self, statement)


def _stop_at_any_name(self: Any, value: bytes) -> None:
    """As it once was: the voter's index is not looked at, and no signature covers it."""
    message = self._wire.decode(value)
    is_above = isinstance(message, Proposal | Vote) and message.view > self._journal.floor
    if is_above and self._wire.is_signed_with(self._key, message):
        raise SecondInstance("a statement under our key that the journal does not hold")


REFUSALS: tuple[Mutant, ...] = (
    *(
        Mutant(f"accepts {what}", ((Judge, "_is_well_formed", _well_formed_but_for(field)),), "malformed")
        for field, what in (
            ("protocol_version", "another protocol version"),
            ("proposer", "another member as proposer"),
            ("seal", "seals"),
        )
    ),
    Mutant("accepts any number of records", ((LocalHeads, "amount", _no_record_counts),), "overfull"),
    Mutant("accepts any number of bytes", ((LocalHeads, "amount", _no_byte_counts),), "overfull"),
    Mutant("accepts blocks from the future", ((Judge, "_child", _from_any_future),), "time-liar"),
    Mutant("accepts any opening", ((RecordRepair, "is_shown", _every_opening_is_shown),), "false-opener"),
    Mutant(
        "accepts openings from any offset",
        ((RecordRepair, "is_shown", _shown_from_anywhere),),
        "false-opener",
        "truncate,recreate",
    ),
    Mutant("votes while its executor lags", ((State, "may_advance", lambda self: True),), faults="lag,slow-intake"),
    Mutant("drops what anybody contradicts", ((RecordRepair, "contradicted", _drop_at_once),), "probe-provoker"),
    Mutant("leaves a view when its time is out", ((Voting, "time_out", _leave_when_time_is_out),)),
    Mutant("counts a vote as often as it comes", ((views, "Tally", _CountingRecords),)),
    Mutant("accuses one validator alone", ((Core, "_report", _report_one),), "double-voter", validators=7, liars=2),
    Mutant("signs votes of any kind at once", ((Wire, "_vote_bytes", _of_any_kind),), "relabeller"),
    Mutant("signs votes of any view at once", ((Wire, "_vote_bytes", _of_any_view),), "relabeller"),
    Mutant("signs votes for any block at once", ((Wire, "_vote_bytes", _of_any_digest),), "relabeller"),
    Mutant("signs proposals for any view at once", ((Wire, "signing_bytes", _proposal_of_any_view),), "relabeller"),
    Mutant("stops at its vote under another's name", ((Booter, "_check_foreign", _stop_at_any_name),), "relabeller"),
    Mutant("believes any proof of finality", ((Wire, "is_certified", lambda self, it: True),), "block-forger"),
)
