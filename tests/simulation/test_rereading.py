"""Reading a partition again while it is already being read again."""

from backbone.intake.intake import Advance
from backbone.store import Entry
from consensus.core.events import Reread
from consensus.runtime.loop import Restarted
from ledger import digests
from simulation.parts.faults import CALM
from simulation.world import World


def test_partition_asked_for_twice_is_told_once() -> None:
    """The first answer may come after the second request: what is reported between is reported again after both."""
    world = World(seed=1, faults=CALM)
    validator = world.validators[0]
    validator.boot(world.agenda.now_ms)
    loop = validator.loop
    assert loop is not None
    digest = digests.chain_next(world.genesis.empty_heads()[0].chain_digest, 0, 0, digests.value_digest(b"a record"))
    advance = Advance(0, 0, (Entry(1, digest, 8),))
    loop._reread(Reread(0, 0, 0, 0, None, None))
    loop._reread(Reread(0, 0, 0, 0, None, None))
    for item in (Restarted(0), advance, Restarted(0), advance):
        loop.take(item, world.agenda.now_ms)
    loop.end_turn(world.agenda.now_ms)
    assert loop.core.state.heads.records() == 1
