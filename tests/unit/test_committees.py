"""Two epochs whose committees differ in size, order and power: whoever reads a committee reads that of the epoch."""

import threading
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pytest

from backbone.log import Log
from client.follower import Follower
from consensus.core.certifier import Certified, Certifier, Contradiction, SignClaim
from consensus.core.events import Sign
from consensus.core.inbox import Refusal
from consensus.core.timers import ConsensusSettings, Timers
from consensus.wire.checkpoint_messages import CheckpointCertificate, CheckpointSignature, CheckpointWire
from consensus.wire.final_blocks import BlockReader, encode_block
from consensus.wire.fork_evidence import culprits
from consensus.wire.messages import (
    NO_DIGEST,
    Block,
    Certificate,
    Kind,
    Message,
    Proposal,
    Statement,
    Vote,
    Wire,
    signer,
)
from consensus.wire.tally import Tally
from consensus.wire.topics import all_positions, consensus_topics, voting_topics
from lab.bench.succession import Death, gaps, last_spoken_view
from lab.bench.watch import Finalization
from ledger.block import FinalBlock
from ledger.checkpoint import Checkpoint
from ledger.committee import Committee, Committees, leader_table
from ledger.header import Epoch, Header
from ledger.keys import PrivateKey
from ledger.rejection import Reason, Rejection
from node.home.context import NodeContext
from node.home.known_peers import FRESH, Known, peers_of
from node.home.layout import Home
from node.metrics.ordering import OrderMetrics
from node.settings.tree import read_settings
from node.supervision.verdict import Facts, decide
from projections.session.errors import StateDiffers
from proofs.making import certified_checkpoint
from proofs.proof_file import decode_state_proof, file_bytes_max
from proofs.verifying import NotProven, Proven, verify_state_proof
from simulation.checkers.leaders import leader as leader_of_checkers
from sync.snapshots.manifest import BadManifest, Chunk, Manifest, Subtree, certified, root_of
from tests.builders import genesis, validator_key
from tests.core_bench import Bench
from tests.fake_topic import FakeTopic
from tests.patience import WAIT_S
from tests.proof_files import ROWS, State

CHAIN = genesis(4, powers=(1, 1, 1, 1), partitions=1)
NAMED = genesis(6).validators
"""v0 to v5; the key of each is `validator_key` of its number."""
FIRST, SECOND = (0, 1, 2, 3), (5, 2, 0, 3, 4)
"""Who sits where."""
POWERS = (7, 1, 2, 1, 1)
COMMITTEES = Committees(
    [
        Committee(Epoch(0), CHAIN.validators),
        Committee(
            Epoch(1), [replace(NAMED[number], power=power) for number, power in zip(SECOND, POWERS, strict=True)]
        ),
    ]
)
SEATS = {0: FIRST, 1: SECOND}
WIRE = Wire(CHAIN, COMMITTEES)
CHECKPOINTS = CheckpointWire(CHAIN, COMMITTEES)
"""A quorum of the second: members 0 and 2 with 9 of 12. Members 1 to 4 have 5; of the first these would be enough."""


def key(epoch: Epoch, index: int) -> PrivateKey:
    return validator_key(SEATS[epoch][index])


def committee(epoch: Epoch) -> Committee:
    found = COMMITTEES.at(epoch)
    assert found is not None
    return found


def signed(statement: Statement) -> Statement:
    index = signer(statement, committee(statement.epoch))
    return replace(statement, signature=key(statement.epoch, index).sign(WIRE.signing_bytes(statement)))


def vote(epoch: Epoch, index: int, kind: Kind = Kind.NULLIFY, digest: bytes = NO_DIGEST, view: int = 1) -> Vote:
    found = signed(Vote(kind, epoch, view, digest, index))
    assert isinstance(found, Vote)
    return found


def certificate(
    epoch: Epoch, indexes: Iterable[int], kind: Kind = Kind.NULLIFY, digest: bytes = NO_DIGEST
) -> Certificate:
    votes = [vote(epoch, index, kind, digest) for index in indexes]
    return Certificate(kind, epoch, 1, digest, tuple((it.validator, it.signature) for it in votes))


def block(epoch: Epoch, view: int = 1, time_ms: int = 1) -> Block:
    proposer = committee(epoch).leader(view)
    return WIRE.block(Header(1, epoch, 1, 0, CHAIN.digest, view, proposer, time_ms, CHAIN.empty_heads()))


def proposal(epoch: Epoch, view: int = 1, time_ms: int = 1) -> Proposal:
    found = signed(Proposal(view, block(epoch, view, time_ms)))
    assert isinstance(found, Proposal)
    return found


def read(message: Message) -> Message | Rejection:
    return WIRE.decode(WIRE.encode(message))


def test_committees_are_known_by_epoch_and_the_newest_is_the_current_one() -> None:
    assert [committee(Epoch(epoch)).names for epoch in (0, 1)] == [
        ("v0", "v1", "v2", "v3"),
        ("v5", "v2", "v0", "v3", "v4"),
    ]
    assert COMMITTEES.at(Epoch(2)) is None
    assert (COMMITTEES.current.epoch, COMMITTEES.members_max) == (1, 5)
    assert (Committees.of(CHAIN).current.epoch, Committees.of(CHAIN).at(Epoch(1))) == (0, None)


def test_quorum_leader_and_key_are_those_of_the_epoch() -> None:
    first, second = committee(Epoch(0)), committee(Epoch(1))
    assert first.is_quorum((1, 2, 3))
    assert not second.is_quorum((1, 2, 3, 4))
    assert second.is_quorum((0, 2))
    assert second.has_honest((0,))
    assert not first.has_honest((0,))
    assert [first.index_of(validator_key(number).public_key) for number in (0, 4, 5)] == [0, None, None]
    assert [second.index_of(validator_key(number).public_key) for number in (0, 1, 5)] == [2, None, 0]
    assert first.leader(3) == leader_table((1, 1, 1, 1))[3]
    assert [second.leader(view) for view in range(1024)] == list(leader_table(POWERS))


@pytest.mark.parametrize("powers", [(1,), (1, 1, 1, 1), POWERS, (5, 4, 1, 1, 3, 2, 2), (1_000_000, 1), (3, 3, 3)])
def test_checkers_come_to_the_same_leaders_on_their_own(powers: tuple[int, ...]) -> None:
    assert [leader_of_checkers(powers, view) for view in range(1024)] == list(leader_table(powers))


@pytest.mark.parametrize("epoch", [0, 1])
def test_messages_are_read_and_verified_with_their_epochs_committee(epoch: Epoch) -> None:
    for message in (vote(epoch, 3), proposal(epoch), certificate(epoch, (0, 2, 3)), vote(epoch, len(SEATS[epoch]) - 1)):
        assert read(message) == message
        assert WIRE.is_authentic(message)
    other = replace(vote(epoch, 0), epoch=Epoch(1 - epoch))
    assert not WIRE.is_authentic(replace(other, signature=key(Epoch(1 - epoch), 3).sign(WIRE.signing_bytes(other))))
    assert not WIRE.is_authentic(other)


def test_a_member_of_one_epoch_is_none_of_a_smaller_one() -> None:
    assert isinstance(read(vote(Epoch(1), 4)), Vote)
    assert read(Vote(Kind.NULLIFY, Epoch(0), 1, NO_DIGEST, 4, bytes(64))) == Rejection(Reason.FIELD_RANGE, "validator")
    assert read(replace(vote(Epoch(1), 4), epoch=Epoch(2))) == Rejection(Reason.FIELD_RANGE, "epoch")


def test_a_certificate_does_not_carry_a_proposal_of_another_epoch() -> None:
    of_first = proposal(Epoch(0))
    voted = certificate(Epoch(1), (0, 2), Kind.NOTARIZE, of_first.block.digest)
    assert read(replace(voted, proposal=of_first)) == Rejection(Reason.FIELD_RANGE, "proposal")


@pytest.mark.parametrize(
    ("epoch", "indexes", "enough"),
    [(0, (0, 1, 2), True), (0, (0, 2), False), (1, (0, 2), True), (1, (1, 2, 3, 4), False)],
)
def test_a_block_is_final_by_a_quorum_of_its_epoch(epoch: Epoch, indexes: tuple[int, ...], enough: bool) -> None:
    final, reader = block(epoch), BlockReader(CHAIN, COMMITTEES)
    proof = reader.prove(certificate(epoch, indexes, Kind.FINALIZE, final.digest), ())
    assert isinstance(reader.verify(encode_block(final.header_bytes, proof)), FinalBlock) is enough


def test_contradictions_are_found_by_epoch() -> None:
    values: list[Statement] = [
        proposal(Epoch(0), time_ms=1),
        proposal(Epoch(0), time_ms=2),
        vote(Epoch(1), 0),
        vote(Epoch(1), 0, Kind.FINALIZE, bytes(31) + b"1"),
        vote(Epoch(0), 2),
        vote(Epoch(1), 2, Kind.FINALIZE, bytes(31) + b"1"),
    ]
    found = culprits(CHAIN, COMMITTEES, [WIRE.encode(value) for value in values])
    assert list(found) == [(0, committee(Epoch(0)).leader(1)), (1, 0)]


def test_a_tally_certifies_with_the_committee_that_it_is_given() -> None:
    for epoch, enough in ((0, False), (1, True)):
        tally = Tally(Kind.NULLIFY, 1)
        for index in (0, 2):
            tally.add(vote(Epoch(epoch), index))
        assert (tally.certificate(NO_DIGEST, committee(Epoch(epoch))) is not None) is enough


def test_topics_are_those_of_the_epochs_members() -> None:
    assert consensus_topics(CHAIN, committee(Epoch(1))) == [f"momus.test.consensus.v{number}" for number in SECOND]
    assert voting_topics(CHAIN, committee(Epoch(1)))[-1] == "momus.test.checkpoints"
    positions = all_positions(CHAIN, committee(Epoch(1)), {"momus.test.consensus.v2": 9})
    assert [positions[topic] for topic in consensus_topics(CHAIN, committee(Epoch(1)))] == [0, 9, 0, 0, 0]


# --- checkpoints ---


def claimed(epoch: Epoch, root: int = 1, height: int = 7) -> Checkpoint:
    return Checkpoint(epoch, height, bytes(32), CHAIN.empty_heads(), bytes([root]) * 32, CHAIN.digest)


def said(epoch: Epoch, index: int, root: int = 1) -> CheckpointSignature:
    claim = CHECKPOINTS.claim(claimed(epoch, root))
    return CheckpointSignature(claim, index, key(epoch, index).sign(CHECKPOINTS.signing_bytes(claim)))


def reads(certifier: Certifier, *messages: CheckpointSignature | CheckpointCertificate) -> Iterator[object]:
    for message in messages:
        yield from certifier.on_value(CHECKPOINTS.encode(message), 0)


@pytest.mark.parametrize(
    ("epoch", "indexes", "enough"),
    [(0, (0, 1, 2), True), (0, (0, 2), False), (1, (0, 2), True), (1, (1, 2, 3, 4), False)],
)
def test_a_checkpoint_is_certified_by_a_quorum_of_its_epoch(
    epoch: Epoch, indexes: tuple[int, ...], enough: bool
) -> None:
    words = [said(epoch, index) for index in indexes]
    whole = CheckpointCertificate(words[0].claim, tuple((it.validator, it.signature) for it in words))
    assert CHECKPOINTS.decode(CHECKPOINTS.encode(whole)) == whole
    assert CHECKPOINTS.is_certified(whole) is enough
    stranger = Certifier(CHECKPOINTS, validator_key(9).public_key, 1_000, 500, None, None)
    assert any(isinstance(action, Certified) for action in reads(stranger, *words)) is enough


def test_equal_indexes_of_two_epochs_are_two_validators() -> None:
    certifier = Certifier(CHECKPOINTS, validator_key(1).public_key, 1_000, 500, None, None)
    assert not [
        it
        for it in reads(certifier, said(Epoch(0), 3, root=1), said(Epoch(1), 3, root=2))
        if isinstance(it, Contradiction)
    ]
    assert [it for it in reads(certifier, said(Epoch(1), 3, root=3)) if isinstance(it, Contradiction)]


@pytest.mark.parametrize(("number", "seats"), [(2, {0: 2, 1: 1}), (1, {0: 1, 1: None}), (5, {0: None, 1: 0})])
def test_a_validator_signs_as_the_member_that_it_is_in_the_epoch(number: int, seats: dict[int, int | None]) -> None:
    for epoch, seat in seats.items():
        certifier = Certifier(CHECKPOINTS, validator_key(number).public_key, 1_000, 500, None, None)
        asked = [
            it.statement.validator
            for it in certifier.on_claims([claimed(Epoch(epoch))], 0)
            if isinstance(it, SignClaim)
        ]
        assert asked == ([] if seat is None else [seat])


QUORUM, NONE = ((0, 2), (5, 0)), ((1, 2, 3, 4), (2, 0, 3, 4))
"""Members of the second epoch, and whose keys they have."""


class SecondEpoch(State):
    """A small state whose checkpoint is of the second epoch, signed by some of its members."""

    def __init__(self, members: tuple[int, ...], keys: tuple[int, ...]) -> None:
        super().__init__(powers=(1, 1, 1, 1))
        self.checkpoint = replace(self.checkpoint, epoch=Epoch(1))
        self.committees = Committees([Committee(Epoch(0), self.genesis.validators), committee(Epoch(1))])
        self._signers = list(zip(members, keys, strict=True))

    def certificate(self, members: Sequence[int] = (), keys: Sequence[int] | None = None) -> bytes:
        wire = CheckpointWire(self.genesis, self.committees)
        claim = wire.claim(self.checkpoint)
        signed = [(index, validator_key(key).sign(wire.signing_bytes(claim))) for index, key in self._signers]
        return wire.encode(CheckpointCertificate(claim, tuple(signed)))


@pytest.mark.parametrize(("signers", "proven"), [(QUORUM, True), (NONE, False)])
def test_a_proof_of_state_stands_on_a_quorum_of_the_checkpoints_epoch(signers: Any, proven: bool) -> None:
    state = SecondEpoch(*signers)
    file = state.file(next(iter(ROWS)))
    found = verify_state_proof(file, state.genesis, state.committees)
    assert isinstance(found, Proven) is proven
    if isinstance(found, Proven):
        assert ([it.name for it in found.signers], found.power, found.power_total) == (["v5", "v0"], 9, 12)
    assert isinstance(verify_state_proof(file, state.genesis, Committees.of(state.genesis)), NotProven)


@pytest.mark.parametrize(("signers", "good"), [(QUORUM, True), (NONE, False)])
def test_a_proof_is_made_of_what_a_quorum_of_the_checkpoints_epoch_signed(signers: Any, good: bool) -> None:
    state = SecondEpoch(*signers)
    for committees, is_good in ((state.committees, good), (Committees.of(state.genesis), False)):
        if is_good:
            assert certified_checkpoint(state.certificate(), state.genesis, committees) == state.checkpoint
        else:
            with pytest.raises(StateDiffers):
                certified_checkpoint(state.certificate(), state.genesis, committees)


def test_a_proof_file_may_be_as_large_as_the_largest_committee_makes_it() -> None:
    state = SecondEpoch(*QUORUM)
    of_first = Committees.of(state.genesis)
    large = state.file(next(iter(ROWS))) + bytes(file_bytes_max(state.genesis, of_first))
    large = large[: file_bytes_max(state.genesis, of_first) + 1]
    refused = [decode_state_proof(large, state.genesis, committees) for committees in (of_first, state.committees)]
    assert [it.reason for it in refused if isinstance(it, Rejection)] == [Reason.OVERSIZE, Reason.NON_CANONICAL]


@pytest.mark.parametrize(("signers", "good"), [(QUORUM, True), (NONE, False)])
def test_a_snapshot_is_vouched_for_by_a_quorum_of_the_checkpoints_epoch(signers: Any, good: bool) -> None:
    state = SecondEpoch(*signers)
    whole = Chunk("leaves-00000.avro", 1, "00" * 32, (Subtree(b"", 2, bytes(31) + b"1"),))
    state.checkpoint = replace(state.checkpoint, state_root=root_of([whole]))
    manifest = Manifest(state.genesis.digest, state.header, state.certificate(), (whole,), ())
    for committees, is_good in ((state.committees, good), (Committees.of(state.genesis), False)):
        if is_good:
            assert certified(manifest, state.genesis, committees).checkpoint == state.checkpoint
        else:
            with pytest.raises(BadManifest, match="certificate"):
                certified(manifest, state.genesis, committees)


# --- who follows final blocks ---


def final_record(epoch: Epoch, indexes: tuple[int, ...]) -> bytes:
    final = block(epoch)
    proof = BlockReader(CHAIN, COMMITTEES).prove(certificate(epoch, indexes, Kind.FINALIZE, final.digest), ())
    return encode_block(final.header_bytes, proof)


def test_a_client_takes_a_header_that_a_quorum_of_its_epoch_has_made_final() -> None:
    votes = [(Epoch(0), (0, 2)), (Epoch(1), (1, 2, 3, 4)), (Epoch(0), (0, 1, 2)), (Epoch(1), (0, 2))]
    topic = FakeTopic({0: []})
    seen: list[Header] = []
    has_begun, all_seen = threading.Event(), threading.Event()

    def on_header(header: Header) -> None:
        seen.append(header)
        if len(seen) == 2:
            all_seen.set()

    log = cast("Log", topic)
    follower = Follower(log, CHAIN, COMMITTEES, 0, lambda: True, on_header, pytest.fail, has_begun.set)
    follower.start()
    assert has_begun.wait(WAIT_S)
    topic.values[0] += [(at, final_record(*each)) for at, each in enumerate(votes)]
    assert all_seen.wait(WAIT_S)
    follower.stop()
    assert ([header.epoch for header in seen], follower.forged) == ([0, 1], 2)


def test_a_node_verifies_final_blocks_with_the_committees_that_it_knows(tmp_path: Path) -> None:
    context = replace(NodeContext.of(Home(tmp_path), read_settings(None, {}), CHAIN), committees=COMMITTEES)
    verified = [context.block_reader().verify(final_record(Epoch(1), members)) for members in ((0, 2), (1, 2, 3, 4))]
    assert [isinstance(each, FinalBlock) for each in verified] == [True, False]


def test_the_bench_asks_who_led_in_the_epoch_and_what_its_members_said() -> None:
    first, second = committee(Epoch(0)), committee(Epoch(1))
    view = next(view for view in range(2, 99) if first.leader(view) != second.leader(view))
    seen = [Finalization(at_s, at_s, led, 0) for at_s, led in ((1, view - 1), (2, view + 1))]
    dead = Death(second.leader(view), view - 1, 0, 9)
    assert (gaps(second, seen, [dead]).first, gaps(first, seen, [dead]).first) == ((1,), ())
    said_in = {Epoch(0): 3, Epoch(1): 7}
    values = [WIRE.encode(vote(epoch, 2, view=view)) for epoch, view in said_in.items()]
    topic = FakeTopic({0: list(enumerate(values))}, "momus.test.consensus.v0")
    assert last_spoken_view(cast("Log", topic), CHAIN, COMMITTEES, 2) == 7


# --- what a node shows of it ---


def test_metrics_name_the_members_and_leaders_of_the_epoch(tmp_path: Path) -> None:
    metrics = OrderMetrics(CHAIN, committee(Epoch(1)), Home(tmp_path), lambda: 0)
    metrics.on_final(replace(block(Epoch(1), view=2).header, proposer=4))
    blocks = metrics.values.numbers("momus_consensus_blocks_total")
    failed = metrics.values.numbers("momus_consensus_nullified_views_total")
    assert {name for (name,), count in blocks.items() if count} == {"v4"}
    assert {name for (name,), count in failed.items() if count} == {
        committee(Epoch(1)).names[committee(Epoch(1)).leader(1)]
    }
    power = metrics.values.numbers("momus_consensus_power")
    assert power == {(f"v{number}",): float(of) for number, of in zip(SECOND, POWERS, strict=True)}


@pytest.mark.parametrize(("heard", "quorum"), [((0, 2), True), ((1, 2, 3, 4), False)])
def test_health_counts_the_power_of_the_epoch(heard: tuple[int, ...], quorum: bool) -> None:
    rows = peers_of(committee(Epoch(1)), Known({}), "nobody")
    assert [row.validator for row in rows] == [f"v{number}" for number in SECOND]
    rows = [replace(row, state=FRESH if index in heard else row.state, height=7) for index, row in enumerate(rows)]
    facts = Facts(
        now_ms=0, wall_ms=0, needed={}, final_height=7, executed_height=7, committee=committee(Epoch(1)), peers=rows
    )
    assert (decide(facts) == []) is quorum


# --- the core ---


def bench(index: int) -> Bench:
    """The core of one member of the second epoch."""
    return Bench(index, committees=COMMITTEES)


def test_a_core_counts_its_own_epochs_votes_and_no_others() -> None:
    member = bench(1)
    member.hold(1)
    member.hear(vote(Epoch(0), 0), vote(Epoch(0), 2), vote(Epoch(0), 3))
    assert member.core.state.refusals == {Refusal.MALFORMED: 3}
    member.hear(vote(Epoch(1), 2), vote(Epoch(1), 3), vote(Epoch(1), 4))
    assert not member.core.state.views.is_nullified(1)
    member.hear(vote(Epoch(1), 0))
    assert member.core.state.views.is_nullified(1)


def test_a_core_votes_for_what_the_leader_of_its_epoch_proposes() -> None:
    member = bench(1)
    leader = member.committee.leader(1)
    assert (leader, committee(Epoch(0)).leader(1)) == (2, 1)
    member.hold(1)
    member.hear(member.propose(member.block(1), signer=1))
    assert member.said() == []
    member.hear(member.propose(member.block(1)))
    (asked,) = member.did(Sign)
    assert isinstance(asked.statement, Vote)
    assert (asked.statement.kind, asked.statement.epoch, asked.statement.validator) == (Kind.NOTARIZE, 1, 1)


def test_a_core_proposes_where_its_epoch_lets_it_lead_and_for_that_epoch() -> None:
    leads, follows = bench(2), bench(1)
    for member in (leads, follows):
        member.hold(1)
    (asked, *_) = leads.did(Sign)
    assert isinstance(asked.statement, Proposal)
    assert (asked.statement.epoch, asked.statement.block.header.proposer) == (1, 2)
    assert follows.said() == []


@pytest.mark.parametrize(("speakers", "enough"), [((1, 2), False), ((1, 2, 3, 4), True), ((0,), True)])
def test_a_third_of_the_epochs_power_calls_a_validator_on(speakers: tuple[int, ...], enough: bool) -> None:
    """Members 1 and 2 have 3 of 12, member 0 has 7; of the first epoch two of four would be enough."""
    pace = Timers(ConsensusSettings(), committee(Epoch(1)))
    for index in speakers:
        pace.record_activity(index, 5)
    assert pace.third_has_reached(5) is enough
    assert committee(Epoch(0)).has_honest((1, 2))
