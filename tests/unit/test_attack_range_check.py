"""Attacks on fetching: peers that are slow while the core asks for the same records again and again."""

from collections.abc import Sequence

from backbone.store import StoredRecord
from consensus.core.events import Fetch
from consensus.runtime.readers import IntakeTail
from ledger.header import Head


class Asked:
    """Records nobody holds; remembers what it was asked for."""

    def __init__(self) -> None:
        self.targets: list[Head] = []

    def fetch(self, before: Head, target: Head) -> Sequence[StoredRecord] | None:
        self.targets.append(target)
        return None


def test_of_what_was_asked_for_while_a_fetch_lasted_only_the_newest_is_fetched_for_each_partition() -> None:
    source = Asked()
    tail = IntakeTail(None, source, 10, lambda item: None)  # type: ignore[arg-type]  # a fetch touches no intake
    base = [Head(partition, 0, 0, bytes(32)) for partition in range(2)]
    ends = range(1, 30)
    for end in ends:
        for head in base:
            tail.request(Fetch(head, Head(head.partition, 0, end, bytes(32))))
    for _ in range(2 * len(ends)):
        tail.supply()
    assert [(head.partition, head.end_offset) for head in source.targets] == [(0, 29), (1, 29)]
