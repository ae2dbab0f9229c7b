"""What goes into the core and what comes out. Times are milliseconds of one clock that never goes back.

That clock is for timers. The time of day, which blocks bear, may be set; `ClockSet` says how far it is from that clock.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from consensus.wire.messages import Certificate, Message, Proposal, Statement
from ledger.block import FinalBlock
from ledger.header import Head, Opening


@dataclass(frozen=True, slots=True)
class Started:
    """The first event: everything restored has been handed over."""

    now_ms: int


@dataclass(frozen=True, slots=True)
class MessageRead:
    """A record's value from somebody's consensus topic; nothing of it is believed."""

    now_ms: int
    value: bytes | None


@dataclass(frozen=True, slots=True)
class BlockRead:
    """A record's value from the `blocks` topic; nothing of it is believed."""

    now_ms: int
    value: bytes | None


@dataclass(frozen=True, slots=True)
class Signed:
    """What a `Sign` asked for. It must reach the journal before anything of this step is sent."""

    now_ms: int
    message: Statement


@dataclass(frozen=True, slots=True)
class HeadsAdvanced:
    """Records that the own store now holds durably, by partition: (end offset, chain digest, value bytes), in order."""

    now_ms: int
    entries: Mapping[int, Sequence[tuple[int, bytes, int]]]


@dataclass(frozen=True, slots=True)
class LagMeasured:
    """How many records the executor is behind the last block that it was given."""

    now_ms: int
    records: int


@dataclass(frozen=True, slots=True)
class ClockSet:
    """The time of day is so far ahead of the clock of all events (below zero: behind). Before the first: they agree."""

    now_ms: int
    ahead_ms: int


@dataclass(frozen=True, slots=True)
class TimerFired:
    """The time that the last `SetTimer` named has come."""

    now_ms: int


@dataclass(frozen=True, slots=True)
class LogShown:
    """What the own broker shows of a partition, looked at anew: `opening` is the next incarnation where the log was
    truncated below the last final head or recreated; None where it agrees with all that is final."""

    now_ms: int
    partition: int
    incarnation: int
    """The one that was looked at; what is said of an older one is void."""
    opening: Opening | None
    diverged_at: int | None = None
    """From which offset on, above what is final, the log does not show what the own store holds; None: it shows all."""


@dataclass(frozen=True, slots=True)
class RecordsDiffer:
    """What a `Fetch` brought does not continue what the own store holds: one of the two is of another history."""

    now_ms: int
    partition: int
    incarnation: int


Event = (
    Started
    | MessageRead
    | BlockRead
    | Signed
    | HeadsAdvanced
    | LogShown
    | RecordsDiffer
    | LagMeasured
    | ClockSet
    | TimerFired
)


@dataclass(frozen=True, slots=True)
class Sign:
    """Sign this, keep it in the journal, hand it back as `Signed` before any other event, and send it.

    `voted` is the proposal that a notarize vote is for: kept beside it, since its records must be, and since its leader
    may be gone when somebody lacks its header.
    """

    statement: Statement
    voted: Proposal | None = None


@dataclass(frozen=True, slots=True)
class Keep:
    """Keep a certificate in the journal, before anything that is signed after it is sent: what we sign rests on it, and
    those whose votes made it may be gone when the topics are. Of finalizations only the last one counts."""

    certificate: Certificate


@dataclass(frozen=True, slots=True)
class Send:
    """Send this on the own topic, after all that was signed up to here is durable."""

    message: Message


@dataclass(frozen=True, slots=True)
class SetTimer:
    """Wake me at this time; None: not at all. Replaces what was set before."""

    at_ms: int | None


@dataclass(frozen=True, slots=True)
class Finalize:
    """A final block whose records the own store holds: journal first, then the store. Heights rise by one.

    Up to the view `floor` nothing that was said is needed any more. `checkpoint` is the header of the last checkpoint
    block up to this one (empty: genesis), to be restored with it.
    """

    block: FinalBlock
    floor: int
    is_own: bool
    checkpoint: bytes


@dataclass(frozen=True, slots=True)
class Reread:
    """The own records of a partition are not the ones to have: replace those from an offset on.

    Where a target is named, by the records from `before` up to it of whoever has them, as far as these are others;
    where nobody has, nothing is dropped: look. Else as the log shows them, which was looked at. What is dropped below
    `keep_end` lies under a head that we voted for: set it aside, to be served.
    """

    partition: int
    incarnation: int
    from_offset: int
    keep_end: int
    before: Head | None
    target: Head | None


@dataclass(frozen=True, slots=True)
class Fetch:
    """The log does not bring the records above `before` up to `target`: ask others for them. Nothing is dropped."""

    before: Head
    target: Head


@dataclass(frozen=True, slots=True)
class Probe:
    """Somebody says that this partition was truncated or recreated, or contradicts what we hold of it: look, and answer
    with `LogShown`. What lies at or above `end_offset`, if given, need not be looked at."""

    partition: int
    end_offset: int | None = None


@dataclass(frozen=True, slots=True)
class Evidence:
    """Two signed messages of one validator of which an honest one signs at most one."""

    validator: int
    first: Statement
    second: Statement


@dataclass(frozen=True, slots=True)
class Stop:
    """Halt: going on would be unsafe. `why` says what was seen: a fork, or another who signs with our key."""

    why: str
    is_fork: bool = False


Action = Sign | Keep | Send | SetTimer | Finalize | Reread | Fetch | Probe | Evidence | Stop
