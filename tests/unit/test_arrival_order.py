"""In whatever order a chain's headers, records, votes and certificates arrive, it ends in the same state: nothing that
has come once needs to come again. On an idle chain nobody would say it again."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from itertools import permutations
from typing import Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from consensus.core import events
from consensus.core.chain import LATE_MAX
from consensus.core.core import Core
from consensus.core.state import Restored
from consensus.wire.final_blocks import BlockReader, encode_block
from consensus.wire.messages import Block, Certificate, Kind, Message
from ledger.committee import Committees
from ledger.keys import verify
from tests.core_bench import START_MS, Bench

verify_once: Final = lru_cache(65_536)(verify)


class FastBench(Bench):
    """Verifies each signature once in all orders."""

    def __init__(self, index: int = 0) -> None:
        super().__init__(index)
        self.core = Core(
            self.genesis, self.committees, index, self.settings, Restored(self.zero, self.zero), verify_once
        )
        self.step(events.Started(self.now_ms))
        self.actions = []


@dataclass(frozen=True)
class Story:
    """Blocks of heights 1, 2 and 3 in views 1, 2 and 3, and everything that was said of them."""

    bench: Bench

    @cached_property
    def blocks(self) -> list[Block]:
        first = self.bench.block(1)
        second = self.bench.block(2, first, records=2)
        return [first, second, self.bench.block(3, second, records=3)]

    def proposal(self, view: int) -> Message:
        return self.bench.propose(self.blocks[view - 1])

    def certificate(self, kind: Kind, view: int, is_whole: bool = False) -> Certificate:
        bare = self.bench.certificate(kind, view, self.blocks[view - 1])
        return replace(bare, proposal=self.bench.propose(self.blocks[view - 1])) if is_whole else bare

    def published(self, height: int, finalized: int) -> bytes:
        """The record of `blocks`: a block as the finalization of `finalized` proves it."""
        proof = BlockReader(self.bench.genesis, Committees.of(self.bench.genesis)).prove(
            self.certificate(Kind.FINALIZE, finalized), self.blocks[height:finalized]
        )
        return encode_block(self.blocks[height - 1].header_bytes, proof)


STORY: Final = Story(Bench())


@lru_cache
def act(name: str) -> Callable[[Bench], None]:
    """P2: the proposal of view 2; N2, F2: certificates, bare; n2, f2: with their proposals; B1/3: block 1 in `blocks`,
    proven by the finalization of view 3; V3: the finalize votes of view 3; R: a record of the log."""
    kind, view = name[0], int(name[1:2] or 0)
    if kind == "R":
        return lambda bench: bench.hold(1)
    if kind == "B":
        value = STORY.published(view, int(name[3:]))
        return lambda bench: bench.step(events.BlockRead(START_MS, value))
    messages: list[Message]
    if kind == "P":
        messages = [STORY.proposal(view)]
    elif kind == "V":
        messages = [*STORY.bench.votes(Kind.FINALIZE, view, STORY.blocks[view - 1], (1, 2, 3))]
    else:
        of_kind = Kind.NOTARIZE if kind in "Nn" else Kind.FINALIZE
        messages = [STORY.certificate(of_kind, view, is_whole=kind.islower())]
    values = [STORY.bench.wire.encode(message) for message in messages]
    return lambda bench: bench.hear(*values)


def arrive(order: Sequence[str]) -> Bench:
    bench = FastBench()
    for name in order:
        act(name)(bench)
    return bench


def assert_final(order: Sequence[str]) -> None:
    state = arrive(order).core.state
    ended = (state.chain.delivered.digest, state.views.final_view, state.view)
    assert ended == (STORY.blocks[2].digest, 3, 4), f"delivered {state.chain.delivered.header.height} of {order}"


@pytest.mark.parametrize(
    "what",
    [
        "P1 P2 P3 F3 R R",
        "P1 P2 F3 B3/3 R",
        "P1 P2 P3 F1 F2 F3",
        "n1 n2 n3 F3 B3/3",
        "P1 n2 f3 V3",
        "f1 f2 f3 B2/3",
        "B1/1 B2/2 B3/3 F3",
        "B1/3 P2 P3 F3",
        "N1 N2 N3 V3 P1 P2 P3",
    ],
)
def test_every_order_ends_in_the_same_state(what: str) -> None:
    orders = list(permutations(what.split()))
    for order in orders[:: 1 + len(orders) // 120]:
        assert_final([*"RRR", *order] if "R" not in order else [*order, *"RRR"[order.count("R") :]])


SAID: Final = ("P1", "P2", "P3", "N1", "N2", "N3", "n2", "F1", "F2", "F3", "f1", "V2", "V3", "B1/2", "B3/3")


@settings(max_examples=80, deadline=None)
@given(st.lists(st.sampled_from(SAID), max_size=6), st.randoms(use_true_random=False))
def test_any_order_of_anything_else_beside_it_ends_in_the_same_state(more: list[str], random: object) -> None:
    order = ["P1", "P2", "P3", "F3", *"RRR", *more]
    random.shuffle(order)  # type: ignore[attr-defined]
    assert_final(order)


def test_a_leader_that_signs_many_headers_of_a_view_that_is_over_displaces_only_its_own() -> None:
    """View 1 is v1's: it must not be the one who decides whether block 2 of v2 is remembered."""
    bench = FastBench()
    bench.hold(3)
    act("F3")(bench)
    act("P2")(bench)
    first = STORY.blocks[0]
    for number in range(3 * LATE_MAX):
        bench.hear(bench.propose(bench.block(1, time_ms=first.header.time_ms + 1 + number)))
    late = bench.core.state.chain._late
    assert {leader: len(kept) for leader, kept in late.items()} == {1: LATE_MAX, 2: 1}
    act("P3")(bench)
    act("P1")(bench)
    assert bench.core.state.chain.delivered.digest == STORY.blocks[2].digest
    assert bench.core.state.chain._late == {}
