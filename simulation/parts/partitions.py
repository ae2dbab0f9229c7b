"""What the brokers show of the partitions that clients write to. One explicit object a partition: its records now, the
id of the topic that holds them, and where suffixes of it were cut."""

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class SimRecord:
    """A client's record where it lies now."""

    offset: int
    value: bytes


@dataclass(slots=True)
class BrokerView:
    """One partition as the brokers hold it."""

    topic_id: str
    records: list[SimRecord] = field(default_factory=list)
    """By rising offset; gaps are control records."""
    end_offset: int = 0
    """The offset that the next record gets, unless a control record takes it."""
    truncations: list[tuple[str, int]] = field(default_factory=list)
    """(topic id, offset) from which on a suffix was cut, in the order in which it happened."""
    topic_ids: list[str] = field(default_factory=list)
    """Of all topics that there ever were under this name."""

    def __post_init__(self) -> None:
        self.topic_ids.append(self.topic_id)

    def was_truncated(self, topic_id: str, end_offset: int) -> bool:
        """Whether records of a topic below an offset are no longer what they were."""
        return any(cut == topic_id and offset < end_offset for cut, offset in self.truncations)

    def append(self, value: bytes, gap: int = 0) -> SimRecord:
        """A record behind all others, `gap` offsets left out before it."""
        record = SimRecord(self.end_offset + gap, value)
        self.records.append(record)
        self.end_offset = record.offset + 1
        return record

    def truncate(self, from_offset: int) -> None:
        """An unclean election: the records from an offset on are gone; others may take their offsets."""
        self.records = [record for record in self.records if record.offset < from_offset]
        self.end_offset = min(self.end_offset, from_offset)
        self.truncations.append((self.topic_id, from_offset))

    def recreate(self, topic_id: str) -> None:
        """The topic is made anew: empty, under another id."""
        self.topic_id, self.records, self.end_offset = topic_id, [], 0
        self.topic_ids.append(topic_id)
