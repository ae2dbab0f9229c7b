"""What to say again on a stall: the highest finalization, the certificates above it, and our own statements (R9)."""

from collections.abc import Iterator

from consensus.core.views import Views
from consensus.wire.messages import Certificate, Message


class Repeater:
    """Pages through what may be missing elsewhere, so that one stall never floods the log."""

    def __init__(self, views: Views, messages_max: int) -> None:
        self._views = views
        self._messages_max = messages_max

    def page(self, finalization: Certificate | None, number: int) -> list[Message]:
        """Page `number`, from 0 on and round again: always the finalization, then some of what lies above it."""
        above = list(self._above())
        pages = max(1, -(-len(above) // self._messages_max))
        start = number % pages * self._messages_max
        page = above[start : start + self._messages_max]
        return page if finalization is None else [finalization, *page]

    def _above(self) -> Iterator[Message]:
        for view_state in self._views:
            if view_state.notarization is not None:
                yield view_state.notarization
            if view_state.nullification is not None:
                yield view_state.nullification
            yield from view_state.own.signed()
