"""A real Kafka of one broker or three which every validator reaches by links of its own."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from node.embedded.broker import LocalBroker, LocalCluster
from tests.faults.proxy import Link, Network


@dataclass(frozen=True, slots=True)
class LinkedKafka:
    """`links`: of each validator, one to every broker. `bootstrap` is for those who stand outside the fault."""

    brokers: Sequence[LocalBroker]
    links: Sequence[Sequence[Link]]

    @property
    def bootstrap(self) -> str:
        """All brokers, directly."""
        return ",".join(broker.bootstrap for broker in self.brokers)

    def bootstrap_of(self, validator: int) -> str:
        """All brokers, as the validator of this index sees them."""
        return ",".join(f"127.0.0.1:{link.port}" for link in self.links[validator])


@contextmanager
def linked_kafka(folder: Path, network: Network, validators: int, brokers: int) -> Iterator[LinkedKafka]:
    """Started, with nothing wrong. Raises: BrokerUnusable."""
    links = [[network.link() for _ in range(brokers)] for _ in range(validators)]
    cluster = LocalCluster(folder, brokers, [[own[broker].port for own in links] for broker in range(brokers)])
    with cluster:
        for own in links:
            for link, broker in zip(own, cluster.brokers, strict=True):
                link.target = ("127.0.0.1", broker.port_behind(link.port))
        yield LinkedKafka(cluster.brokers, links)
