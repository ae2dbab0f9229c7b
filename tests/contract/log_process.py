"""A process that reads from, or produces to, partition 1 of a topic until it is killed.

``python -m tests.contract.log_process read|produce TOPIC embedded|kafka PLACE``. It prints a JSON list
``[offset, value in hex]`` a line, for each record read or acknowledged.
"""

import json
import sys
from contextlib import closing
from itertools import count
from pathlib import Path

from backbone.log import Delivery, Log
from backbone.log.embedded import EmbeddedLog
from backbone.log.kafka import KafkaLog


def tell(offset: int, value: bytes) -> None:
    print(json.dumps([offset, value.hex()]), flush=True)


def read(log: Log, topic: str) -> None:
    with closing(log.reader(topic, {1: 0})) as reader:
        while True:
            for record in reader.read(100, 1_000):
                tell(record.offset, record.value or b"")


def produce(log: Log, topic: str) -> None:
    producer = log.producer()
    for number in count():
        value = b"%d" % number

        def acknowledged(delivery: Delivery, value: bytes = value) -> None:
            assert delivery.error is None
            tell(delivery.offset, value)

        producer.send(topic, 1, value, None, acknowledged)
        if number % 5 == 0:
            producer.poll(10)


def main(what: str, topic: str, kind: str, place: str) -> None:
    log: Log = EmbeddedLog(Path(place)) if kind == "embedded" else KafkaLog({"bootstrap.servers": place})
    {"read": read, "produce": produce}[what](log, topic)


if __name__ == "__main__":
    main(*sys.argv[1:])
