"""docs/joining.md, "Who may fill the topic": a real Kafka takes its commands, and the quota slows who is over it."""

import re
import shlex
import subprocess
from contextlib import closing
from pathlib import Path
from typing import Final

import pytest
from confluent_kafka import Producer

from backbone.log import TopicSpec
from backbone.log.kafka import KafkaLog
from node.embedded.broker_files import jars

PAGE: Final = Path(__file__).resolve().parents[2] / "docs" / "joining.md"
SECTION: Final = re.compile(r"^## Who may fill the topic.*?(?=^## )", re.MULTILINE | re.DOTALL)
COMMAND: Final = re.compile(r"^kafka-configs\.sh .*$", re.MULTILINE)

pytestmark = [pytest.mark.kafka]


def commands() -> list[list[str]]:
    """What follows `kafka-configs.sh` in each command of the section."""
    found = SECTION.search(PAGE.read_text())
    assert found is not None
    return [shlex.split(line)[1:] for line in COMMAND.findall(found[0])]


def configs(bootstrap: str, words: list[str]) -> str:
    """What Kafka's own tool says to it."""
    argv = ["java", "-Xshare:auto", "-XX:TieredStopAtLevel=1", "-cp", f"{jars()}/*", "kafka.admin.ConfigCommand"]
    argv += [bootstrap if word == "broker1:9092" else word for word in words]
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr + done.stdout
    return done.stdout


def test_the_quotas_of_the_page_are_set_and_slow_who_is_over_them(kafka_bootstrap: str) -> None:
    words = commands()
    assert len(words) == 4
    nobody_else = ["clients" if word == "users" else word for word in words[1]]
    nobody_else = ["stranger" if word == "client-1" else word for word in nobody_else]
    configs(kafka_bootstrap, nobody_else)
    configs(kafka_bootstrap, words[1])
    said = configs(kafka_bootstrap, words[3])
    assert "client-1" in said
    assert "producer_byte_rate=100000" in said
    with closing(KafkaLog({"bootstrap.servers": kafka_bootstrap})) as log:
        log.create([TopicSpec("filled", 1)])
    delayed_s: list[float] = []
    producer = Producer(
        {
            "bootstrap.servers": kafka_bootstrap,
            "client.id": "stranger",
            "throttle_cb": lambda event: delayed_s.append(event.throttle_time),
        }
    )
    for _ in range(400):
        producer.produce("filled", b"x" * 10_000)
        producer.poll(0)
        if delayed_s:
            break
        producer.flush(1)
    producer.purge()
    producer.flush(5)
    assert delayed_s
