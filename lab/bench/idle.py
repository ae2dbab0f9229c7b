"""How quiet an idle chain is, and how fast one transaction wakes it."""

import time
from collections.abc import Iterable

from backbone.log import Log, LogReader
from client import Client, Submission
from consensus.wire.topics import voting_topics
from lab.demo.latency import Latency, finality
from ledger.committee import Committee
from ledger.genesis import Genesis
from ledger.transaction import Transaction

_READ_MS = 200
_RECORDS_MAX = 1_000
_WAIT_S = 60.0


def records_written(log: Log, genesis: Genesis, committee: Committee, seconds: float) -> int:
    """Records that reach any topic of the chain while this waits. Raises: LogUnavailable."""
    readers = [
        log.reader(topic, dict.fromkeys(range(partitions), 0)) for topic, partitions in _topics(genesis, committee)
    ]
    try:
        for reader in readers:
            _read_to_end(reader)
        time.sleep(seconds)
        return sum(_read_to_end(reader) for reader in readers)
    finally:
        for reader in readers:
            reader.close()


def wake(client: Client, payments: Iterable[Transaction], pause_s: float) -> Latency:
    """Time to finality of each payment alone, on a chain that has had nothing to do for `pause_s`.

    Raises: NotFinal, ClientStopped.
    """
    submissions: list[Submission] = []
    for transaction in payments:
        time.sleep(pause_s)
        submissions.append(client.submit(transaction))
        client.wait(submissions[-1:], _WAIT_S)
    return finality(submissions)


def _topics(genesis: Genesis, committee: Committee) -> list[tuple[str, int]]:
    """(topic, partitions) of the chain."""
    single = [genesis.topic_name("blocks"), *voting_topics(genesis, committee)]
    return [(genesis.topic, genesis.partitions), *((topic, 1) for topic in single)]


def _read_to_end(reader: LogReader) -> int:
    """Until a read finds nothing more; how many records there were."""
    count = 0
    while True:
        found = len(reader.read(_RECORDS_MAX, _READ_MS))
        count += found
        if not found and reader.at_end():
            return count
