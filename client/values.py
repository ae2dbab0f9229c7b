"""Values of a client: its settings, its progress, how waiting may end."""

from dataclasses import dataclass

from ledger.errors import Unavailable


class NotFinal(Unavailable, TimeoutError):
    """The time was over before everything awaited had come so far. Nothing is known to be lost: wait again, or
    submit the same transactions again, which is harmless."""


class ClientStopped(Unavailable, RuntimeError):
    """A topic is missing, or `blocks` lost the position that the client had read to; the message says which."""


@dataclass(frozen=True, slots=True)
class ClientSettings:
    """Bounds and delays of one client. `unresolved_max` and `unresolved_bytes_max` bound memory: transactions
    submitted and not yet final (with `follow` off: not yet delivered). `height_min`: a height that is known to be
    final; a log that shows headers below it alone is behind, and none of them is taken for the newest."""

    batch_max: int = 100
    batch_bytes_max: int = 100_000
    linger_ms: int = 5
    unresolved_max: int = 50_000
    unresolved_bytes_max: int = 256 << 20
    retry_ms_max: int = 600_000
    follow: bool = True
    height_min: int = 0


@dataclass(frozen=True, slots=True)
class Progress:
    """Counts since the client was made; `height` is that of the newest verified header."""

    submitted: int
    delivered: int
    final: int
    failed: int
    height: int
