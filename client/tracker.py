"""Which delivered transactions are final: positions held against the heads of verified final headers. Pure."""

from heapq import heappop, heappush
from itertools import count

from client.outbox import Record
from ledger.header import Head, Header


class Tracker:
    """Delivered records that no final head has passed yet, per partition, lowest offset first.

    Offsets mean something within one incarnation of a partition only: when a head opens the next one, what waited
    is handed back to be sent again. Before the first delivery the newest header must have been told, or an old one
    would make final what lies at the same offset of a later incarnation.
    """

    def __init__(self, heads: tuple[Head, ...]) -> None:
        self._heads = {head.partition: head for head in heads}
        self._waiting: dict[int, list[tuple[int, int, Record]]] = {head.partition: [] for head in heads}
        self._stray: dict[int, list[Record]] = {head.partition: [] for head in heads}
        """What a truncated log put where something else is final."""
        self._serial = count()
        self.height = 0

    def end(self, partition: int) -> tuple[int, int]:
        """(incarnation, offset) up to which a partition is final, as far as is known here."""
        return self._heads[partition].incarnation, self._heads[partition].end_offset

    def is_opened_since(self, partition: int, final_before: tuple[int, int]) -> bool:
        """Whether another incarnation was opened since a partition was final up to there.

        Of a record that was sent then it is not known in which of them its offset lies, so it is to be sent again.
        """
        return final_before[0] < self._heads[partition].incarnation

    def on_delivered(self, record: Record, offset: int, final_before: int = 0) -> int | None:
        """Await the finality of a record; the height where it is final already.

        Below `final_before`, how far the partition was final when it was sent, it cannot be: the log was truncated
        meanwhile and gave it an offset that is taken. It waits for the next incarnation, to be sent again.
        """
        if offset < final_before:
            self._stray[record.partition].append(record)
            return None
        if offset < self._heads[record.partition].end_offset:
            return self.height
        heappush(self._waiting[record.partition], (offset, next(self._serial), record))
        return None

    def on_final(self, header: Header) -> tuple[list[Record], list[Record]]:
        """(records final by this verified header, records to send again). An older header than known says nothing."""
        if header.height <= self.height:
            return [], []
        self.height = header.height
        final: list[Record] = []
        lost: list[Record] = []
        for head in header.heads:
            waiting = self._waiting[head.partition]
            if self._is_next_incarnation(head):
                lost += [record for _, _, record in sorted(waiting, key=lambda entry: entry[:2])]
                lost += self._stray[head.partition]
                waiting.clear()
                self._stray[head.partition].clear()
            while waiting and waiting[0][0] < head.end_offset:
                final.append(heappop(waiting)[2])
            self._heads[head.partition] = head
        return final, lost

    def _is_next_incarnation(self, head: Head) -> bool:
        return head.incarnation > self._heads[head.partition].incarnation
