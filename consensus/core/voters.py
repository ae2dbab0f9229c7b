"""In how many views each validator did not vote at all, as far as its own topic shows.

A validator's messages come in the order in which it sent them, and its views only rise: where its votes leave a view
out, it did not vote there. Who is silent has missed every view that has been over for a while.
"""

from typing import Final

GRACE_VIEWS: Final = 8
"""A view that is over counts as missed by a silent validator only when so many more are: its votes may be under way."""


class Voters:
    """Of one committee, from the view on in which we boot."""

    def __init__(self, count: int, view: int) -> None:
        self._last = [view - 1] * count
        self._left_out = [0] * count

    def record_activity(self, member: int, view: int) -> None:
        """The last view in which a member has voted, after each message of its own."""
        if view > self._last[member]:
            self._left_out[member] += view - self._last[member] - 1
            self._last[member] = view

    def missed(self, member: int, view: int) -> int:
        """Views that it has missed; `view` is ours. It may fall when a silent member speaks of an earlier view."""
        return self._left_out[member] + max(0, view - 1 - GRACE_VIEWS - self._last[member])

    def behind(self, member: int, view: int) -> int:
        """Views from its last one to ours."""
        return max(0, view - self._last[member])
