"""Planted bugs in the rules of consensus, in journals, and in what is said of states."""

from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any

from consensus.core import certifier, events
from consensus.core.block_publisher import BlockPublisher
from consensus.core.certifier import Certifier
from consensus.core.chain import Chain
from consensus.core.core import Core
from consensus.core.heads import LocalHeads, Outcome
from consensus.core.inbox import Inbox, Refusal
from consensus.core.judge import Judge, Judgement
from consensus.core.resend import Repeater
from consensus.core.state import State
from consensus.core.timers import Timers
from consensus.core.views import Views, ViewState
from consensus.core.voting import Voting
from consensus.runtime import boot, journal
from consensus.runtime.boot import Booter
from consensus.runtime.certification import Certification
from consensus.runtime.journal import Journal
from consensus.runtime.loop import Loop
from consensus.wire.checkpoint_messages import CheckpointCertificate, CheckpointSignature, CheckpointWire, Claim
from consensus.wire.messages import NO_DIGEST, Block, Certificate, Kind, Proposal, Vote, Wire
from executor.state import State as ExecutorState
from ledger.committee import Committee
from simulation.mutants.mutant import Change, Mutant


def _quorum_of_half(self: Committee, members: Iterable[int]) -> bool:
    return 2 * self.power_of(members) >= self.power


def _send_first(self: Any, now_ms: int) -> None:
    for kind, data in self._ports.journal._pending:
        if kind == 1:
            self._ports.outbox.send(self._own_topic, data[8:])
    _LET_OUT(self, now_ms)


def _store_first(self: Any, now_ms: int) -> None:
    finals, self._finals = self._finals, []
    for final in finals:
        self._store(final, now_ms)
    _LET_OUT(self, now_ms)


def _finalize_always(self: Any, certificate: Certificate) -> None:
    view_state = self.state.views.at(certificate.view)
    if view_state.notarization is None:
        self.state.views.add_notarization(certificate)
        self._voting.sign_vote(view_state, Kind.FINALIZE, certificate.digest)
        self._enter(certificate.view + 1)


def _nullify_the_view_before(self: Any) -> None:
    _TIME_OUT(self)
    view_state = self._state.views.get(self._state.view - 1)
    if self._state.timers.pending_since_ms is not None and view_state is not None:
        self.sign_vote(view_state, Kind.NULLIFY, NO_DIGEST)


def _notarization_is_final(self: Any, certificate: Certificate) -> None:
    _ON_NOTARIZATION(self, certificate)
    self._on_finalization(replace(certificate, kind=Kind.FINALIZE))


def _restore_without_votes(self: Any, finals: Any) -> Any:
    return replace(_RESTORE(self, finals), own=())


def _drop_own_on_final(self: Any, kind: int, data: bytes) -> None:
    _APPLY(self, kind, data)
    if kind == 2:
        self._own = []


def _compact_without_own(self: Any, positions: Any) -> None:
    self._own = []
    _COMPACT(self, positions)


def _leave_the_torn_end(self: Any) -> None:
    cut, self._file.cut = self._file.cut, lambda size_bytes: None
    _LOAD(self)
    self._file.cut = cut


def _advance_unseen(self: Any, block: Any, parent: Any, may_advance: bool) -> Judgement:
    return Judgement.GOOD


def _deliver_unseen(self: Any) -> None:
    while (proven := self.state.chain.next_final()) is not None:
        outcome = self.state.heads.outcome(proven.block.header.heads)
        if outcome is Outcome.CONFIRMED:
            self.state.heads.settle(proven.block.header.heads)
        self._give(self.state.chain.deliver())
        if outcome is not Outcome.CONFIRMED:
            return


def _next_is_the_top(self: Any) -> Any:
    return self._finals.get(max(self._finals, default=0))


def _deliver_the_top(self: Any) -> Any:
    proven = self._finals[max(self._finals)]
    self.delivered, self._finals = proven.block, {}
    return proven


def _vote_for_all(self: Any) -> None:
    view_state: ViewState = self._state.views.at(self._state.view)
    for proposal in view_state.proposals:
        vote = Vote(Kind.NOTARIZE, proposal.epoch, view_state.view, proposal.block.digest, self._state.index)
        if vote.digest not in {own.digest for own in view_state.own.votes.values()}:
            view_state.own.add(vote)
            self._actions.append(events.Sign(vote))


def _propose_twice(self: Any) -> None:
    state = self._state
    own = state.views.at(state.view).own
    if state.leader(state.view) == state.index and own.proposal is not None and state.chain.delivered.header.height:
        again = Proposal(state.view, state.chain.delivered)
        if own.proposal.block.digest != again.block.digest:
            own.proposal = again
            self._actions.append(events.Sign(again))
    _LEAD(self)


def _again_the_delivered(self: Any) -> None:
    state = self._state
    own = state.views.at(state.view).own
    is_free = own.proposal is None and not own.has_signed(Kind.NULLIFY) and state.chain.delivered.header.height > 0
    if state.leader(state.view) == state.index and is_free and state.timers.pending_since_ms is not None:
        own.proposal = Proposal(state.view, state.chain.delivered)
        self._actions.append(events.Sign(own.proposal))


def _never_resend(self: Repeater, finalization: Any, number: int) -> list[Any]:
    return []


def _heads_may_go_back(self: Any, block: Block, parent: Block, may_advance: bool) -> Judgement:
    pairs = zip(block.header.heads, parent.header.heads, strict=True)
    goes_back = any(new.end_offset < old.end_offset for new, old in pairs)
    return Judgement.GOOD if goes_back else _ADVANCE(self, block, parent, may_advance)


def _any_parent(self: Any, proposal: Proposal, now_ms: int, may_advance: bool) -> Judgement:
    judgement = _CHILD(self, proposal, now_ms, may_advance)
    parent = self._chain.get(proposal.block.header.parent_digest)
    is_wrong = judgement is Judgement.INVALID and self._is_well_formed(proposal.block.header)
    return self._advance(proposal.block, parent, may_advance) if is_wrong and parent is not None else judgement


def _any_time(self: Any, proposal: Proposal, now_ms: int, may_advance: bool) -> Judgement:
    parent = self._chain.get(proposal.block.header.parent_digest)
    if parent is None or proposal.block.header.time_ms > parent.header.time_ms:
        return _CHILD(self, proposal, now_ms, may_advance)
    judgement: Judgement = self._advance(proposal.block, parent, may_advance)
    return judgement


def _members_may_repeat(self: Any, value: dict[str, Any]) -> Any:
    signatures = tuple((item["validator"], item["signature"]) for item in value["signatures"])
    certificate = _TO_CERTIFICATE(self, {**value, "signatures": value["signatures"][:1]})
    return replace(certificate, signatures=signatures) if isinstance(certificate, Certificate) else certificate


def _no_quorum_needed(self: Any, message: Any, view: int) -> Any:
    refusal = _WEIGH(self, message, view)
    is_certificate = refusal is Refusal.FORGED and isinstance(message, Certificate)
    return None if is_certificate and self._wire.is_authentic(message) else refusal


def _proposals_of_anybody(self: Any, message: Any) -> bool:
    return isinstance(message, Proposal) or bool(_IS_AUTHENTIC(self, message))


def _views_stay(self: Views, certificate: Certificate) -> None:
    kept = dict(self._states)
    _FINALIZE_VIEWS(self, certificate)
    self._states.update(kept)


def _heads_unseen(self: Any, heads: Any) -> Outcome:
    outcome = _OUTCOME(self, heads)
    return Outcome.CONFIRMED if outcome is Outcome.NOT_YET else outcome


def _load_or_begin(self: Any) -> None:
    if self._file.read() is None:
        self._file.data = self._header
    _LOAD(self)


def _learn_no_digest(self: Any, wanted: Any, inputs: Any) -> None:
    _LEARN(self, wanted, replace(inputs, digests=frozenset()))


def _sign_twice_after_restart(self: Any, finals: Any) -> Any:
    restored = _RESTORE(self, finals)
    return replace(restored, own=restored.own[:-1])


_LET_OUT: Callable[..., None] = Loop._let_out
_ADVANCE: Callable[..., Judgement] = Judge._advance
_CHILD: Callable[..., Judgement] = Judge._child
_TO_CERTIFICATE: Callable[..., Any] = Wire._to_certificate
_WEIGH: Callable[..., Any] = Inbox._weigh
_IS_AUTHENTIC: Callable[..., bool] = Wire.is_authentic
_FINALIZE_VIEWS: Callable[..., None] = Views.finalize
_OUTCOME: Callable[..., Outcome] = LocalHeads.outcome
_TIME_OUT: Callable[..., None] = Voting.time_out
_LEAD: Callable[..., None] = Voting.lead
_ON_NOTARIZATION: Callable[..., None] = Core._on_notarization
_RESTORE: Callable[..., Any] = Booter._restore
_APPLY: Callable[..., None] = Journal._apply
_COMPACT: Callable[..., None] = Journal.compact
_LOAD: Callable[..., None] = Journal._load

_BOOTS_BLINDLY: tuple[Change, ...] = (
    (boot, "_check_store", lambda finals, store: None),
    (Booter, "_check_foreign", lambda self, value: None),
)

_LEARN: Callable[..., None] = ExecutorState.learn


def _claim_first(self: Certification, actions: Iterable[certifier.Action], now_ms: int) -> None:
    """Sends a signed checkpoint that no journal holds."""
    for action in actions:
        if isinstance(action, certifier.SignClaim):
            signature = self._ports.key.sign(self._wire.signing_bytes(action.statement.claim))
            message = replace(action.statement, signature=signature)
            self._send(self._own_topic, self._wire.encode(message))
            _CARRY_OUT(self, self._certifier.on_signed(message, now_ms), now_ms)
        else:
            _CARRY_OUT(self, [action], now_ms)


def _any_claim(self: Certifier, claim: Claim) -> dict[int, CheckpointSignature]:
    signed = {member: kept.get(claim.height, []) for (_, member), kept in self._signatures.items()}
    return {member: held[-1] for member, held in signed.items() if held}


def _certified(self: CheckpointWire, certificate: CheckpointCertificate) -> bool:
    return True


def _forget_certificate(self: Certification, certificate: CheckpointCertificate) -> None:
    """Keeps every second one."""
    if certificate.claim.digest[0] % 2:
        _KEEP(self, certificate)


_CARRY_OUT: Callable[..., None] = Certification._carry_out
_KEEP: Callable[..., None] = Certification._keep

RULES: tuple[Mutant, ...] = (
    Mutant("a quorum of half", ((Committee, "is_quorum", _quorum_of_half),), "equivocator"),
    Mutant("sends before it persists", ((Loop, "_let_out", _send_first),)),
    Mutant("stores before it persists", ((Loop, "_let_out", _store_first),)),
    Mutant("finalizes after it nullified", ((Core, "_on_notarization", _finalize_always),)),
    Mutant("nullifies a view that it left", ((Voting, "time_out", _nullify_the_view_before),)),
    Mutant("does without nullifications", ((Views, "is_nullified", lambda self, view: True),), "skipper"),
    Mutant("takes a notarization for finality", ((Core, "_on_notarization", _notarization_is_final),)),
    Mutant("forgets its votes at a restart", ((Booter, "_restore", _restore_without_votes),)),
    Mutant("forgets its votes at a finalization", ((Journal, "_apply", _drop_own_on_final),)),
    Mutant("forgets its votes when the journal is written anew", ((Journal, "compact", _compact_without_own),)),
    Mutant("leaves the torn end of its journal", ((Journal, "_load", _leave_the_torn_end),)),
    Mutant("votes for records that it does not hold", ((Judge, "_advance", _advance_unseen),), "payload-withholder"),
    Mutant(
        "delivers blocks whose records it does not hold", ((Core, "_deliver", _deliver_unseen),), "payload-withholder"
    ),
    Mutant(
        "delivers the top and skips its ancestors",
        ((Chain, "next_final", _next_is_the_top), (Chain, "deliver", _deliver_the_top)),
    ),
    Mutant("notarizes every proposal of a view", ((Voting, "vote", _vote_for_all),), "equivocator"),
    Mutant("proposes twice in a view", ((Voting, "lead", _propose_twice),)),
    Mutant(
        "proposes an old block again",
        ((Voting, "lead", _again_the_delivered), (Judge, "_again", lambda self, proposal: Judgement.GOOD)),
    ),
    Mutant("never sends again", ((Repeater, "page", _never_resend), (Core, "_answer", lambda self, *why: None))),
    Mutant("starts no timer", ((Timers, "set_pending", lambda self, is_pending, now_ms: None),)),
    Mutant("is never quiet", ((State, "is_pending", lambda self: True),)),
    Mutant("publishes no block of others", ((BlockPublisher, "on_time", lambda self, now_ms: None),), "twins"),
    Mutant("believes forged messages", ((Inbox, "_weigh", lambda self, message, view: None),), "forger"),
    Mutant("accepts heads that go back", ((Judge, "_advance", _heads_may_go_back),), "heads-liar"),
    Mutant("accepts any parent", ((Judge, "_child", _any_parent),), "orphan"),
    Mutant("accepts any time", ((Judge, "_child", _any_time),), "time-liar"),
    Mutant(
        "accepts empty blocks", ((Judge, "_checkpoint", lambda self, block, parent: Judgement.GOOD),), "empty-blocks"
    ),
    Mutant("accepts any re-proposal", ((Judge, "_again", lambda self, proposal: Judgement.GOOD),), "wrong-reproposer"),
    Mutant("counts a member twice", ((Wire, "_to_certificate", _members_may_repeat),), "duplicator"),
    Mutant("accepts certificates without a quorum", ((Inbox, "_weigh", _no_quorum_needed),), "duplicator"),
    Mutant("accepts proposals of anybody", ((Wire, "is_authentic", _proposals_of_anybody),), "impersonator"),
    Mutant("forgets its last statement at a restart", ((Booter, "_restore", _sign_twice_after_restart),)),
    Mutant("confirms heads that it has not read", ((LocalHeads, "outcome", _heads_unseen),)),
    Mutant("starts without a journal", ((Journal, "_load", _load_or_begin), *_BOOTS_BLINDLY), faults="lost-journal"),
    Mutant(
        "overlooks damage in its journal",
        ((journal, "_any_batch_behind", lambda data, at: False), *_BOOTS_BLINDLY),
        faults="damaged-journal",
    ),
    Mutant("starts with an old journal", _BOOTS_BLINDLY, faults="crash,old-journal"),
    Mutant(
        "overlooks a second instance",
        ((Core, "_check_own", lambda self, message: None), (Certifier, "_is_foreign", lambda self, message: False)),
        faults="second-instance,delay",
    ),
    Mutant("accuses nobody", ((Core, "_report", lambda self, *facts: None),), "nullify-and-finalize"),
    Mutant("executes twice what it executed before", ((ExecutorState, "learn", _learn_no_digest),), faults="none"),
    Mutant("keeps the views that are over", ((Views, "finalize", _views_stay),)),
    Mutant("signs checkpoints before it persists", ((Certification, "_carry_out", _claim_first),)),
    Mutant("signs checkpoints again after a restart", ((Certifier, "_signed_height", lambda self: 0),), seed=13),
    Mutant("certifies a state with the power of another", ((Certifier, "_behind", _any_claim),), "state-liar"),
    Mutant("believes any certificate of a state", ((CheckpointWire, "is_certified", _certified),), "state-liar"),
    Mutant("keeps every second certificate", ((Certification, "_keep", _forget_certificate),)),
)
