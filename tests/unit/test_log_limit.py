"""How many events of a kind are written, by a clock that the test turns."""

import pytest
import structlog

from node.process.logging import BURST, KINDS_MAX, PER_S, Limit


class Clock:
    def __init__(self) -> None:
        self.now = 5.0

    def __call__(self) -> float:
        return self.now


def written(limit: Limit, event: str, times: int) -> list[dict[str, object]]:
    found = []
    for _ in range(times):
        try:
            found.append(dict(limit(None, "warning", {"event": event})))
        except structlog.DropEvent:
            continue
    return found


def test_so_many_at_once_and_so_many_a_second_and_the_next_one_tells_of_the_rest() -> None:
    clock = Clock()
    limit = Limit(clock)
    assert written(limit, "a", BURST + 7) == [{"event": "a"}] * BURST
    clock.now += 1
    found = written(limit, "a", BURST)
    assert found == [{"event": "a", "left_out": 7}] + [{"event": "a"}] * (int(PER_S) - 1)
    clock.now += 1_000
    assert written(limit, "a", 2) == [{"event": "a", "left_out": BURST - int(PER_S)}, {"event": "a"}]


def test_kinds_do_not_use_up_each_other() -> None:
    limit = Limit(Clock())
    written(limit, "a", BURST + 1)
    assert written(limit, "b", 1) == [{"event": "b"}]
    with pytest.raises(structlog.DropEvent):
        limit(None, "warning", {"event": "a"})
    assert limit(None, "error", {"event": "a"}) == {"event": "a"}


def test_kinds_beyond_their_bound_share_one_limit() -> None:
    limit = Limit(Clock())
    assert len([each for number in range(KINDS_MAX) for each in written(limit, str(number), 1)]) == KINDS_MAX
    assert len([each for number in range(10_000) for each in written(limit, f"more {number}", 1)]) == BURST
