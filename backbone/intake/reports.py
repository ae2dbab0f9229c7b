"""What an intake says of the log and the store."""

from dataclasses import dataclass

from backbone.store import Entry


@dataclass(frozen=True, slots=True)
class Advance:
    """What the store now holds of a partition beyond what was told before: an entry per record, in order."""

    partition: int
    incarnation: int
    entries: tuple[Entry, ...]


@dataclass(frozen=True, slots=True)
class Shown:
    """What the log shows of a partition that was looked at: `opening` is (topic id, first offset that is not what the
    store holds) where it contradicts what is final; None where it agrees. `diverged_at`: from which offset on it does
    not show what is stored above that; it is not read before that is final, or gone."""

    partition: int
    incarnation: int
    opening: tuple[str, int] | None
    diverged_at: int | None = None


@dataclass(frozen=True, slots=True)
class Differs:
    """Records that were offered of a partition do not continue what is held of it."""

    partition: int
    incarnation: int
