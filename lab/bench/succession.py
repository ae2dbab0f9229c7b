"""What the views of a dead leader cost, read from the finalizations seen and from what the dead one had said."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

from backbone.log import Log
from consensus.runtime.readers import read_to_end
from consensus.wire.messages import Proposal, Vote, Wire, signer
from consensus.wire.topics import consensus_topics
from lab.bench.watch import Finalization
from ledger.committee import Committee, Committees
from ledger.genesis import Genesis

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


def gaps(committee: Committee, finalizations: Sequence[Finalization], deaths: Iterable[Death]) -> Gaps:
    """From the last finalization before to the first one after, while its leader was dead; over all `deaths`.

    A gap over several views of the dead counts once, as the first of them.
    """
    patience = PATIENCE * len(committee)
    first: list[float] = []
    known: list[float] = []
    for death in deaths:
        for before, after in pairwise(finalizations):
            if not death.killed_at < after.at_s <= death.revived_at:
                continue
            led = [v for v in range(before.view + 1, after.view) if committee.leader(v) == death.validator]
            if led:
                is_known = led[0] - death.last_view > patience
                (known if is_known else first).append(after.at_s - before.at_s)
    return Gaps(tuple(first), tuple(known))


def last_spoken_view(log: Log, genesis: Genesis, committees: Committees, validator: int) -> int:
    """The highest view in which a validator has signed, by what its own topic holds now; 0: none.

    To be asked before it returns: who returns speaks in views that are long over. Raises: LogUnavailable.
    """
    wire, committee = Wire(genesis, committees), committees.current
    records = read_to_end(log, consensus_topics(genesis, committee)[validator], 0)
    messages = (wire.decode(record.value) for record in records)
    own = (m.view for m in messages if isinstance(m, Vote | Proposal) and signer(m, committee) == validator)
    return max(own, default=0)
