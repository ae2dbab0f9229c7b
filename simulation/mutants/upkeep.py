"""Planted bugs in what is kept, published, read again and shared out."""

from collections.abc import Callable
from typing import Any

from consensus.core.blocks_position import BlocksPosition
from consensus.core.certifier import CheckpointFork
from consensus.core.chain import BlockFork, Chain
from consensus.core.proposer import Proposer
from consensus.core.topic_positions import TopicPositions
from consensus.runtime import boot
from consensus.runtime.certification import Certification
from consensus.runtime.journal import Journal
from consensus.runtime.loop import Loop
from consensus.wire.messages import Block
from simulation.mutants.mutant import Mutant

_CHECK_STORE: Callable[..., None] = boot._check_store
_ON_TOPIC_RESTARTED: Callable[..., None] = Loop._on_topic_restarted
_REPORT: Callable[..., None] = Certification._report
_DELIVER: Callable[..., Any] = Chain.deliver
_ON_BLOCK: Callable[..., None] = Loop._on_block


def _always_the_first(self: Any, view: int, parent: Block) -> Any:
    limits = self._genesis.limits
    records_max = max(1, limits.records_max >> self._halvings)
    return self._heads.prefix(parent.header.heads, 0, records_max, limits.bytes_max)


def _keep_positions(self: Any, floor: int) -> dict[str, int]:
    return {topic: self._held[topic][0][0] if self._held[topic] else at for topic, at in self._next.items()}


def _seen_as_claimed(self: Any, offset: int, value: bytes | None, now_ms: int) -> None:
    """Takes a block for published once somebody writes its header, whatever proof is beside it."""
    claimed: Any = self._reader.look(value)
    keeper = self._keeper
    if hasattr(claimed, "block") and keeper.wants(claimed.block):
        keeper._waiting.pop(claimed.block.header.height, None)
        keeper._values.pop(claimed.block.header.height, None)
    _ON_BLOCK(self, offset, value, now_ms)


def _deliver_and_keep(self: Any) -> Any:
    before = self.delivered
    proven = _DELIVER(self)
    self._blocks[before.digest] = before
    return proven


def _report_no_fork(self: Any, action: Any) -> None:
    if not isinstance(action, CheckpointFork):
        _REPORT(self, action)


def _forget_nothing(self: Any, delivered_height: int) -> None:
    return None


def _read_again_from_further_back(self: Any, now_ms: int) -> None:
    """As it once was, on the scale of a world: from 16 << n records back while anything waits, whatever progress is
    made."""
    if self._finals and now_ms % 1_000 < 250:
        times = self.counts["blocks_read_again"]
        self.counts["blocks_read_again"] += 1
        self.blocks_reread_from = max(0, self._blocks_position._end - (16 << times))


def _swallow_forks(method: Callable[..., Any]) -> Callable[..., Any]:
    def swallowing(self: Any, *facts: Any) -> Any:
        try:
            return method(self, *facts)
        except BlockFork:
            return None

    return swallowing


def _topic_of_blocks_is_whole(self: Any, topic: str, position: int) -> None:
    if topic == self._blocks_topic:
        self._blocks_position = BlocksPosition(position)
    else:
        _ON_TOPIC_RESTARTED(self, topic, position)


def _store_may_be_old(finals: list[Any], store: Any) -> None:
    if finals and store.last_height() > finals[-1].block.header.height:
        _CHECK_STORE(finals, store)


UPKEEP: tuple[Mutant, ...] = (
    Mutant("always begins with the first partition", ((Proposer, "_longer_heads", _always_the_first),), seed=23),
    Mutant(
        "keeps every block that it delivered",
        ((Chain, "deliver", _deliver_and_keep), (Chain, "prune", lambda self, view, digest: None)),
    ),
    Mutant("keeps the places of blocks that it has", ((BlocksPosition, "_forget", _forget_nothing),), blocks=300),
    Mutant(
        "reads blocks again until all are stored",
        ((Loop, "_watch_gap", _read_again_from_further_back), (Loop, "has_room_for_blocks", lambda self: True)),
        faults="none",
        blocks=1_000,
        seed=2,
    ),
    Mutant("keeps what it read of topics", ((TopicPositions, "positions", _keep_positions),), seed=16),
    Mutant("takes what is said to be a block for one", ((Loop, "_on_block", _seen_as_claimed),), "block-forger"),
    Mutant(
        "keeps certificates in memory only",
        ((Journal, "add_certificate", lambda self, view, value: None),),
        "deserter",
        "rebuild",
    ),
    Mutant(
        "goes on after a fork",
        tuple((Chain, name, _swallow_forks(getattr(Chain, name))) for name in ("finalize", "add_final", "next_final")),
        "accomplice",
        "none",
        liars=2,
    ),
    Mutant("goes on with a state of its own", ((Certification, "_report", _report_no_fork),), faults="diverged-state"),
    Mutant(
        "takes a lost topic of blocks for whole",
        ((Loop, "_on_topic_restarted", _topic_of_blocks_is_whole),),
        faults="remake",
    ),
    Mutant("starts with an old store", ((boot, "_check_store", _store_may_be_old),), faults="crash,old-store"),
)
