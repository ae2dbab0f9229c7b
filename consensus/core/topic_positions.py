"""From where on the topics in which validators speak are read after a start: memory is lost, the topics are not.

A vote whose voter is gone is said by nobody again. Where a certificate could be made with it only, all who held that
would forget it when all start anew, and could neither build on its view nor pass it by. So what was read is not noted
as read before it lies at or below the floor of the journal.
"""

from collections import deque
from collections.abc import Mapping
from typing import Final

HELD_MAX: Final = 1_024
"""Records of one topic that are told apart. What is beyond counts as one, which begins with the first of them."""


class TopicPositions:
    """Topic -> offset of the next record to read. Used by the loop's thread only."""

    def __init__(self, positions: Mapping[str, int]) -> None:
        self._next = dict(positions)
        self._held: dict[str, deque[tuple[int, int]]] = {topic: deque() for topic in positions}
        """Records that only memory holds: (offset, view), by rising offset."""

    def on_record(self, topic: str, offset: int, view: int | None) -> None:
        """A record was taken; `view` is that of the message that it brought in, None where it brought nothing."""
        self._next[topic] = offset + 1
        if view is None:
            return
        held = self._held[topic]
        if len(held) >= HELD_MAX:
            offset, last = held.pop()
            view = max(view, last)
        held.append((offset, view))

    def restart(self, topic: str, position: int) -> None:
        """What was read of a topic is no longer there."""
        self._next[topic] = position
        self._held[topic].clear()

    def positions(self, floor: int) -> dict[str, int]:
        """From here on the topics hold every message above the view `floor` that was read of them."""
        for held in self._held.values():
            while held and held[0][1] <= floor:
                held.popleft()
        return {topic: self._held[topic][0][0] if self._held[topic] else at for topic, at in self._next.items()}
