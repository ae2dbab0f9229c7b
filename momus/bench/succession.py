"""What the views of a dead leader cost, read from the finalizations seen and from what the dead one had said."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TypeGuard

from backbone.log import Log
from consensus.leader import leader_table
from consensus.loop import consensus_topics
from consensus.messages import Message, Proposal, Vote, Wire
from consensus.readers import read_to_end
from ledger.genesis import Genesis
from ledger.rejection import Rejection
from momus.bench.watch import Finalization

PATIENCE = 2
"""Times the committee: a leader not heard for more views than that is known to be dead and not waited for."""


@dataclass(frozen=True, slots=True)
class Death:
    """A validator (index) that was dead in this span of `time.monotonic`; the last view that it had spoken in."""

    validator: int
    last_view: int
    killed_at: float
    revived_at: float


@dataclass(frozen=True, slots=True)
class Gaps:
    """Seconds between the finalizations around views of dead leaders: waited for (`first`), or already `known`."""

    first: tuple[float, ...]
    known: tuple[float, ...]


def gaps(genesis: Genesis, finalizations: Sequence[Finalization], deaths: Iterable[Death]) -> Gaps:
    """From the last finalization before to the first one after, while its leader was dead; over all `deaths`.

    A gap over several views of the dead counts once, as the first of them.
    """
    leaders = leader_table([validator.power for validator in genesis.validators])
    patience = PATIENCE * len(genesis.validators)
    first: list[float] = []
    known: list[float] = []
    for death in deaths:
        for before, after in pairwise(finalizations):
            if not death.killed_at < after.at_s <= death.revived_at:
                continue
            led = [v for v in range(before.view + 1, after.view) if leaders[v % len(leaders)] == death.validator]
            if led:
                is_known = led[0] - death.last_view > patience
                (known if is_known else first).append(after.at_s - before.at_s)
    return Gaps(tuple(first), tuple(known))


def last_spoken_view(log: Log, genesis: Genesis, validator: int) -> int:
    """The highest view in which a validator has signed, by what its own topic holds now; 0: none.

    To be asked before it returns: who returns speaks in views that are long over. Raises: LogUnavailable.
    """
    wire, leaders = Wire(genesis), leader_table([member.power for member in genesis.validators])
    records = read_to_end(log, consensus_topics(genesis)[validator], 0)
    messages = (wire.decode(record.value) for record in records)
    return max((m.view for m in messages if _is_own(m, validator, leaders)), default=0)


def _is_own(message: Message | Rejection, validator: int, leaders: Sequence[int]) -> TypeGuard[Vote | Proposal]:
    match message:
        case Vote():
            return message.validator == validator
        case Proposal(view=view):
            return leaders[view % len(leaders)] == validator
        case _:
            return False
