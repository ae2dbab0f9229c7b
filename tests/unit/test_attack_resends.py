"""Attacks on re-sending: certificates that nobody hears again."""

from consensus.core import events
from consensus.core.timers import ConsensusSettings
from consensus.wire.messages import Certificate, Kind
from tests.core_bench import Bench

VIEWS = 200


def test_every_nullification_above_the_last_final_block_is_said_again_though_views_go_on_being_nullified() -> None:
    """Validators with different gaps far up judge no proposal, and nullify every view: only this can fill the gaps."""
    bench = Bench()
    bench.hold(1)
    bench.hear(*(bench.certificate(Kind.NULLIFY, view, None) for view in range(1, VIEWS)))
    said: set[int] = set()
    for view in range(VIEWS, VIEWS + 30):
        bench.pass_ms(ConsensusSettings().timeout_max_ms)
        messages = [send.message for send in bench.did(events.Send)]
        said |= {message.view for message in messages if isinstance(message, Certificate)}
        bench.hear(bench.certificate(Kind.NULLIFY, view, None))
    assert said >= set(range(1, VIEWS))
