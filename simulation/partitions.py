"""What the brokers show of the partitions that clients write to. One explicit object a partition: its records now, the
id of the topic that holds them, and where suffixes of it were cut."""

from dataclasses import dataclass, field

from ledger import digests


@dataclass(frozen=True, slots=True)
class SimRecord:
    """A client's record where it lies now."""

    offset: int
    value: bytes

    @property
    def value_digest(self) -> bytes:
        return digests.value_digest(self.value)


@dataclass(slots=True)
class BrokerView:
    """One partition in the eyes of whoever asks the brokers that hold this view; usually all share one."""

    topic_id: str
    records: list[SimRecord] = field(default_factory=list)
    """By rising offset; gaps are control records."""
    truncations: list[int] = field(default_factory=list)
    """From which offsets on a suffix was cut, in the order in which it happened, since the topic was made."""

    @property
    def end_offset(self) -> int:
        return self.records[-1].offset + 1 if self.records else 0

    def append(self, value: bytes, gap: int = 0) -> SimRecord:
        """A record behind all others, `gap` offsets left out before it."""
        record = SimRecord(self.end_offset + gap, value)
        self.records.append(record)
        return record

    def truncate(self, from_offset: int) -> None:
        """An unclean election: the records from an offset on are gone; others may take their offsets."""
        self.records = [record for record in self.records if record.offset < from_offset]
        self.truncations.append(from_offset)

    def recreate(self, topic_id: str) -> None:
        """The topic is made anew: empty, under another id."""
        self.topic_id, self.records, self.truncations = topic_id, [], []
