"""Whatever liars with less than a third of the power sign, and whatever we signed before a repair, stops nobody; and
whatever others with more than a third sign against us stops us, in whatever order we hear of it."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from random import Random

from hypothesis import assume, given, settings
from hypothesis import strategies as st

from consensus.core.certifier import Action, Certified, Certifier, CheckpointFork, SignClaim, SignedElsewhere
from consensus.wire.checkpoint_messages import CheckpointSignature, CheckpointWire
from ledger.checkpoint import Checkpoint
from ledger.committee import Committee, Committees
from ledger.header import Epoch
from ledger.keys import verify
from tests.builders import genesis, validator_key

HEIGHTS = (7, 14, 21)
RIGHT, OLD = 1, 9
ROOTS = (RIGHT, 8, OLD)
verify_once = lru_cache(4_096)(verify)


@dataclass(frozen=True)
class World:
    """A committee, and who of it is we and who lies."""

    powers: tuple[int, ...]
    me: int
    liars: frozenset[int]

    @property
    def wire(self) -> CheckpointWire:
        return _wire(self.powers)

    @property
    def others(self) -> list[int]:
        return [member for member in range(len(self.powers)) if member != self.me]

    @property
    def committee(self) -> Committee:
        return Committees.of(genesis(len(self.powers), powers=self.powers)).current

    @property
    def honest(self) -> list[int]:
        return [member for member in self.others if member not in self.liars]

    def sign(self, member: int, height: int, root: int) -> CheckpointSignature:
        return _signature(self.powers, member, height, root)


@lru_cache
def _wire(powers: tuple[int, ...]) -> CheckpointWire:
    return CheckpointWire(chain := genesis(len(powers), powers=powers), Committees.of(chain), verify_once)


@lru_cache(4_096)
def _signature(powers: tuple[int, ...], member: int, height: int, root: int) -> CheckpointSignature:
    wire = _wire(powers)
    claim = wire.claim(checkpoint(wire, height, root))
    return CheckpointSignature(claim, member, validator_key(member).sign(wire.signing_bytes(claim)))


def checkpoint(wire: CheckpointWire, height: int, root: int) -> Checkpoint:
    chain = wire._genesis
    return Checkpoint(Epoch(0), height, bytes(32), chain.empty_heads(), bytes([root]) * 32, chain.digest)


POWERS = st.sampled_from(((1,) * 4, (1,) * 7, (3, 3, 3, 1), (2, 1, 1, 1, 1), (5, 4, 4, 4, 3), (1, 1)))


@st.composite
def worlds(draw: st.DrawFn) -> World:
    powers = draw(POWERS)
    me = draw(st.integers(0, len(powers) - 1))
    liars = draw(st.frozensets(st.sampled_from([it for it in range(len(powers)) if it != me])))
    return World(powers, me, liars)


def live(world: World, signed: CheckpointSignature | None, events: Sequence[object]) -> list[Action]:
    """What a validator whose journal holds `signed` does; an event: a signature that it reads, or a height to which its
    executor, which is right, has come."""
    certifier = Certifier(world.wire, validator_key(world.me).public_key, 1_000, 500, signed, None)

    def carried_out(actions: Iterable[Action]) -> list[Action]:
        done: list[Action] = []
        for action in actions:
            done.append(action)
            if isinstance(action, SignClaim):
                claim = action.statement.claim
                key = validator_key(world.me)
                mine = replace(action.statement, signature=key.sign(world.wire.signing_bytes(claim)))
                done += carried_out(certifier.on_signed(mine, 0))
        return done

    done: list[Action] = []
    for event in events:
        if isinstance(event, CheckpointSignature):
            done += carried_out(certifier.on_value(world.wire.encode(event), 0))
        else:
            own = [checkpoint(world.wire, height, RIGHT) for height in HEIGHTS if height <= int(str(event))]
            done += carried_out(certifier.on_claims(own, 0))
    return done


@settings(max_examples=60, deadline=None)
@given(worlds(), st.sampled_from((None, *HEIGHTS)), st.data(), st.randoms(use_true_random=False))
def test_less_than_a_third_of_liars_and_our_own_old_words_stop_nobody(
    world: World, repaired_at: int | None, data: st.DataObject, random: Random
) -> None:
    committee = world.committee
    assume(3 * committee.power_of(world.liars) < committee.power)
    assume(not committee.is_quorum({*world.liars, world.me}))
    old = [world.sign(world.me, height, OLD) for height in HEIGHTS if height <= (repaired_at or 0)]
    words = [world.sign(member, height, root) for member in world.liars for height in HEIGHTS for root in ROOTS]
    heard: list[object] = [*old, *data.draw(st.lists(st.sampled_from(words), unique=True) if words else st.just([]))]
    heard += [world.sign(member, height, RIGHT) for member in world.honest for height in HEIGHTS]
    heard += HEIGHTS
    random.shuffle(heard)
    done = live(world, old[-1] if old else None, heard)
    assert not [action for action in done if isinstance(action, CheckpointFork | SignedElsewhere)]
    if committee.is_quorum(world.honest):
        assert 21 in {action.certificate.claim.height for action in done if isinstance(action, Certified)}


@settings(max_examples=60, deadline=None)
@given(worlds(), st.sampled_from((None, *HEIGHTS)), st.sampled_from(ROOTS), st.randoms(use_true_random=False))
def test_more_than_a_third_of_others_behind_another_state_stop_us(
    world: World, repaired_at: int | None, mine: int, random: Random
) -> None:
    """Here the `liars` are those who agree with each other, and not with us."""
    assume(world.committee.has_honest(world.liars))
    signed = None if repaired_at is None else world.sign(world.me, repaired_at, mine)
    heard: list[object] = [14, *(world.sign(member, 14, OLD) for member in world.liars)]
    random.shuffle(heard)
    assert any(isinstance(action, CheckpointFork) for action in live(world, signed, heard))
