"""Logs that lose what they acknowledged: an unclean election on a real cluster, a cut end, a topic made anew."""

import time
from collections.abc import Callable
from contextlib import closing
from typing import Any, Final

from confluent_kafka.admin import (  # type: ignore[attr-defined]
    AdminClient,
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
    PartitionMetadata,
    ResourceType,
)

from backbone.log import Log
from backbone.log.embedded import EmbeddedLog
from backbone.store import StoreReader
from backbone.topics import chain_topics
from ledger.genesis import Genesis
from ledger.header import Opening, decode_header
from ledger.rejection import Rejection
from node.embedded.broker import LocalBroker
from node.home.layout import Home
from tests.faults.kafka import LinkedKafka
from tests.patience import WAIT_S

READ_MS: Final = 200
POLL_S: Final = 0.2


def shown(log: Log, topic: str, partition: int) -> dict[int, bytes | None]:
    """Offset -> value, of all that a partition shows to somebody who reads it for the first time."""
    found: dict[int, bytes | None] = {}
    with closing(log.reader(topic, {partition: 0})) as reader:
        while not reader.at_end():
            found |= {record.offset: record.value for record in reader.read(1_000, READ_MS)}
    return found


def lost(before: dict[int, bytes | None], after: dict[int, bytes | None]) -> list[int]:
    """The offsets that no longer show what they showed."""
    return [offset for offset, value in before.items() if offset not in after or after[offset] != value]


def openings(home: Home) -> list[Opening]:
    """Of all final blocks in the store of a home."""
    found: list[Opening] = []
    with StoreReader(home.store) as store:
        height = 0
        while blocks := store.final_after(height, 1_000):
            height = blocks[-1].height
            for block in blocks:
                header = decode_header(block.header_bytes, home.genesis().partitions)
                assert not isinstance(header, Rejection)
                found += header.openings
    return found


def recreate(log: Log, genesis: Genesis, replicas: int) -> None:
    """Delete the transactions topic with all that is in it, and make another under its name."""
    names = [validator.name for validator in genesis.validators]
    log.delete([genesis.topic])
    log.create(chain_topics(genesis.chain, names, genesis.partitions, replicas)[:1])


def cut_end(log: EmbeddedLog, topic: str, partition: int, records: int) -> None:
    """Lose the last records of a partition of the embedded log."""
    log.truncate(topic, partition, max(shown(log, topic, partition)) + 1 - records)


class UncleanElection:
    """Makes the lagging one of two replicas of a partition its leader: what only the other one had is gone.

    `lag`, then let records be acknowledged, then `elect`. Afterwards all brokers run.
    """

    def __init__(self, kafka: LinkedKafka, topic: str, partition: int) -> None:
        self._kafka = kafka
        self._topic = topic
        self._partition = partition
        quiet: dict[str, Any] = {"log_level": 0, "error_cb": lambda error: None}
        self._admin = AdminClient({"bootstrap.servers": kafka.bootstrap} | quiet)
        state = self._state()
        self._leader = state.leader
        self._follower = next(replica for replica in state.replicas if replica != self._leader)
        self._allow()

    def lag(self) -> None:
        """End the follower; from now on the leader alone has what is acknowledged."""
        self._broker(self._follower).kill()
        self._until(lambda: self._state().isrs == [self._leader])

    def elect(self) -> None:
        """End the leader, and start the follower, which is elected; then start the old leader, which follows it."""
        self._broker(self._leader).kill()
        self._broker(self._follower).start()
        self._until(lambda: self._state().leader == self._follower)
        self._broker(self._leader).start()
        self._until(lambda: sorted(self._state().isrs) == sorted([self._leader, self._follower]))

    def _allow(self) -> None:
        entry = ConfigEntry("unclean.leader.election.enable", "true", incremental_operation=AlterConfigOpType.SET)
        resource = ConfigResource(ResourceType.TOPIC, self._topic, incremental_configs=[entry])
        self._admin.incremental_alter_configs([resource])[resource].result(WAIT_S)

    def _broker(self, node_id: int) -> LocalBroker:
        return self._kafka.brokers[node_id - 1]

    def _state(self) -> PartitionMetadata:
        topic = self._admin.list_topics(self._topic, timeout=WAIT_S).topics[self._topic]
        state: PartitionMetadata = topic.partitions[self._partition]
        return state

    def _until(self, holds: Callable[[], bool]) -> None:
        deadline = time.monotonic() + WAIT_S
        while not holds():
            assert time.monotonic() < deadline, f"the cluster stays as it is: {self._state()}"
            time.sleep(POLL_S)
