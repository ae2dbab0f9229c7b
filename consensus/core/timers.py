"""How long to wait: timers that grow while views fail and shrink on progress, re-sends with back-off, activity."""

from dataclasses import dataclass

from ledger.backoff import Backoff
from ledger.committee import Committee


@dataclass(frozen=True, slots=True)
class ConsensusSettings:
    """Local settings of a validator: timers and bounds. None of them is part of validity. Times in ms."""

    timeout_ms: int = 1_000
    timeout_max_ms: int = 20_000
    timeout_growth_percent: int = 150
    idle_ms: int = 50
    drift_ms: int = 5_000
    lag_max: int = 200_000
    """Records that our executor may be behind while we still vote for more."""
    depth_max: int = 64
    """Blocks above the last final one beyond which we propose no child."""
    views_ahead_max: int = 64
    """Views above ours of which votes and proposals are kept; certificates have no such bound."""
    resend_ms: int = 1_000
    resend_max_ms: int = 15_000
    resend_messages_max: int = 64
    answer_ms: int = 1_000
    """A vote in a view that is over for us is answered at most this often, and not before it has been over so long."""
    blocks_delay_ms: int = 500
    """A final block that its proposer did not publish is published by others after this."""
    fetch_ms: int = 1_000
    """Records that the log does not bring for so long, while a quorum has them, are asked of others."""
    reread_ms: int = 2_000
    """Records of a partition that contradict a block's are read again at most this often."""
    read_records_max: int = 5_000


class Timers:
    """Timers and activity of one validator."""

    def __init__(self, settings: ConsensusSettings, committee: Committee) -> None:
        self._settings = settings
        self._committee = committee
        self._failures = 0
        self._views_seen = 0
        self._resends = 0
        self._pages = 0
        self._last_active = [0] * len(committee)
        self.entered_ms = 0
        self.pending_since_ms: int | None = None
        self.resend_at_ms = 0

    def timeout_ms(self) -> int:
        """Of the current view: grown by the views that were nullified since the last finalization."""
        timeout = self._settings.timeout_ms
        for _ in range(self._failures):
            timeout = max(timeout + 1, timeout * self._settings.timeout_growth_percent // 100)
            if timeout >= self._settings.timeout_max_ms:
                return self._settings.timeout_max_ms
        return timeout

    def deadline_ms(self) -> int:
        """When the current view times out. Only while something is pending."""
        return self._since() + self.timeout_ms()

    def idle_until_ms(self) -> int:
        """Until when a leader with nothing to add waits. Only while something is pending."""
        return self._since() + self._settings.idle_ms

    def entered(self, now_ms: int) -> None:
        """A view was entered."""
        self._views_seen += 1
        self.entered_ms = now_ms
        self.progressed(now_ms)

    def nullified(self) -> None:
        """A view was nullified. Beyond the largest timeout more of them make nothing worse, nor last any longer."""
        if self.timeout_ms() < self._settings.timeout_max_ms:
            self._failures += 1

    def finalized(self, now_ms: int) -> None:
        self._failures //= 2
        self._pages = 0
        self.progressed(now_ms)

    def progressed(self, now_ms: int) -> None:
        self._resends = 0
        self.resend_at_ms = now_ms + self._settings.resend_ms

    def set_pending(self, is_pending: bool, now_ms: int) -> None:
        """Whether something is pending; the timer runs from the moment that it is."""
        if not is_pending:
            self.pending_since_ms = None
        elif self.pending_since_ms is None:
            self.pending_since_ms = now_ms
            self.progressed(now_ms)

    def resent(self, now_ms: int) -> int:
        """Note a re-send; the page that it is to hold.

        Pages go on from view to view, up to the next finalization: views may end faster than all pages are said.
        """
        self._resends += 1
        self._pages += 1
        backoff = Backoff(self._settings.resend_ms, self._settings.resend_max_ms)
        self.resend_at_ms = now_ms + backoff.wait(self._resends)
        return self._pages - 1

    def record_activity(self, member: int, view: int) -> None:
        """A good signature of a member in a view."""
        self._last_active[member] = max(self._last_active[member], view)

    def last_active(self, member: int) -> int:
        """The last view in which a member has spoken; 0: none."""
        return self._last_active[member]

    def has_reached(self, member: int, view: int) -> bool:
        """Whether a member has spoken in this view or a later one."""
        return self._last_active[member] >= view

    def third_has_reached(self, view: int) -> bool:
        """Whether more than a third of the power has."""
        return self._committee.has_honest(
            member for member in range(len(self._last_active)) if self.has_reached(member, view)
        )

    def is_inactive(self, member: int, view: int) -> bool:
        """Whether a member has not been heard for so many views that waiting for it is vain."""
        patience = 2 * len(self._committee)
        return self._views_seen > patience and view - self._last_active[member] > patience

    def _since(self) -> int:
        assert self.pending_since_ms is not None
        return max(self.entered_ms, self.pending_since_ms)
