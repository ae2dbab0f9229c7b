"""A node that writes its effects, is killed while it does, and what its topic then holds."""

import secrets
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from random import Random
from struct import pack
from typing import cast

import psycopg
from confluent_kafka import Consumer, KafkaError, TopicPartition

from api.effects.record import decode_effect
from api.reading.streams import StreamPosition
from cli.main import run_line
from client import Client, ClientSettings
from lab.demo.local_node import LocalNode
from ledger.commands import Transfer
from ledger.keys import PrivateKey
from node import wiring
from node.home.keystore import load_key
from node.home.layout import Home
from node.settings.tree import Settings
from tests.patience import WAIT_S

BATCH = 20
SETTINGS = {
    "MOMUS_EFFECTS__ENABLED": "true",
    "MOMUS_EFFECTS__BATCH_RECORDS": str(BATCH),
    "MOMUS_EFFECTS__RETRY_MS": "100",
    "MOMUS_SUPERVISOR__BACKOFF_MS": "1",
    "MOMUS_SUPERVISOR__BACKOFF_MAX_MS": "20",
}
PAYMENTS = 10
"""At once; more, and a writer that is killed again and again falls behind by what takes it minutes."""
PAUSE_S = 0.1
ACTIVE_S_MAX = 0.4
LOOK_S = 0.2

_IN_SQL = """SELECT height, 0, index, digest FROM api.transactions
UNION ALL SELECT height, 1, index, coalesce(digest, '') FROM api.rejections ORDER BY 1, 2, 3"""

Row = tuple[StreamPosition, str]
"""StreamPosition and digest, hex; empty: none."""


class EffectsNode:
    """A running one."""

    def __init__(self, node: LocalNode) -> None:
        self.node = node
        self.home = node.home
        self.settings: Settings = node.home.settings({})
        self.topic = self.home.genesis().topic_name(f"effects.{self.settings.validator}")

    def in_sql(self) -> list[Row]:
        """What the topic is to hold."""
        with psycopg.connect(wiring.database_url(self.home, self.settings)) as connection:
            rows = connection.execute(_IN_SQL).fetchall()
        return [(StreamPosition(height, part, index), digest) for height, part, index, digest in rows]

    def in_topic(self) -> list[Row]:
        """What it holds, oldest first, as consumers read it."""
        if self.settings.log.kind == "kafka":
            records = _committed(self.settings.kafka["bootstrap.servers"], self.topic)
        else:
            with wiring.open_log(self.home, self.settings) as log:
                reader = log.reader(self.topic, {0: 0})
                records = [(record.key, record.value) for record in reader.read(10**6, 0)]
                reader.close()
        found = []
        for key, value in records:
            effect = decode_effect(value)
            assert effect is not None
            found.append((effect[0], (key or b"").hex()))
        return found

    def ends(self) -> int:
        """Where the topic ends; control records count."""
        with wiring.open_log(self.home, self.settings) as log:
            return log.ends(self.topic)[0]

    def has_come_to(self, place: StreamPosition) -> bool:
        """Whether it holds the record of a place, or of a later one."""
        found = self.in_topic()
        return bool(found) and found[-1][0] >= place

    def kill_often(self, kills: int, random: Random) -> list[int]:
        """SIGKILL the process again and again; where the topic ended each time.

        Each second time it has written something since its start, however long that took; else it may still begin.
        """
        pid, ends = None, [self.ends()]
        for kill in range(kills):
            self.node.wait_running(["effects"], WAIT_S, not_pid=pid)
            if kill % 2 == 0:
                until(lambda: self.ends() > ends[-1], "the process that was started again writes nothing")
            time.sleep(random.uniform(0, ACTIVE_S_MAX))
            pid = self.node.kill_9("effects")
            ends.append(self.ends())
        self.node.wait_running(["effects"], WAIT_S, not_pid=pid)
        return ends


def until(is_so: Callable[[], bool], what: str) -> None:
    """Wait for it.

    Raises AssertionError: with what is wrong, where it does not come.
    """
    deadline = time.monotonic() + WAIT_S
    while not is_so():
        assert time.monotonic() < deadline, what
        time.sleep(LOOK_S)


@contextmanager
def effects_node(folder: Path, options: Sequence[str] = ()) -> Iterator[EffectsNode]:
    """With payments, of which every tenth is rejected, for as long as the body runs."""
    home = folder / "home"
    assert run_line(["init", "--home", str(home), "--dev", "--chain", f"e{secrets.token_hex(4)}", *options]) == 0
    assert run_line(["effects", "create", "--home", str(home), "--retention-days", "0"]) == 0
    with LocalNode(home, SETTINGS) as node:
        running = EffectsNode(node)
        stop = threading.Event()
        paying = threading.Thread(target=_pay, args=(Home(home), stop))
        paying.start()
        try:
            node.wait_running(["effects"], WAIT_S)
            yield running
        finally:
            stop.set()
            paying.join()


def _committed(bootstrap: str, topic: str) -> list[tuple[bytes | None, bytes | None]]:
    """The records of committed transactions that are there at the call; those that come meanwhile need not be."""
    consumer = Consumer(
        {
            "bootstrap.servers": bootstrap,
            "group.id": "test",
            "isolation.level": "read_committed",
            "enable.auto.commit": "false",
            "enable.partition.eof": "true",
        }
    )
    consumer.assign([TopicPartition(topic, 0, 0)])
    found: list[tuple[bytes | None, bytes | None]] = []
    deadline = time.monotonic() + WAIT_S
    try:
        _, end = consumer.get_watermark_offsets(TopicPartition(topic, 0), WAIT_S)
        while time.monotonic() < deadline:
            for message in consumer.consume(1_000, 0.2):
                error = message.error()
                if error is None:
                    found.append((message.key(), message.value()))
                # Control records have offsets too, so the end shows by what comes after it, or by nothing coming.
                is_eof = error is not None and error.code() == KafkaError._PARTITION_EOF
                if is_eof or cast(int, message.offset()) >= end - 1:
                    return found
    finally:
        consumer.close()
    raise AssertionError(f"{topic} cannot be read to {end} in {WAIT_S} s")


def _pay(home: Home, stop: threading.Event) -> None:
    key = load_key(home.client_key_file, None)
    with Client.at_home(home.path, ClientSettings(follow=False, linger_ms=0)) as client:
        asset = _asset(home, stop)
        while asset is not None and not stop.wait(PAUSE_S):
            client.wait([client.submit(_payment(client, key, asset, n)) for n in range(PAYMENTS)], 60, "delivered")


def _payment(client: Client, key: PrivateKey, asset: bytes, number: int):  # type: ignore[no-untyped-def]
    amount = 2**62 if number % 10 == 0 else 1
    return client.sign(key, Transfer(asset, bytes([7]) * 32, pack(">q", amount)))


def _asset(home: Home, stop: threading.Event) -> bytes | None:
    url = wiring.database_url(home, home.settings({}))
    while not stop.wait(0.1):
        with psycopg.connect(url) as connection:
            row = connection.execute("SELECT asset FROM api.assets").fetchone()
        if row is not None:
            return bytes.fromhex(row[0])
    return None
