"""What a process sends: records that may be lost, doubled or late, and deliveries that say so, or something else."""

from collections import deque
from collections.abc import Callable
from functools import partial
from random import Random
from typing import Protocol

from backbone.log import Delivery, LogBackPressure
from simulation.parts.faults import chance
from simulation.threads.ports import Points, PortFaults
from simulation.threads.primitives import Bell
from simulation.threads.scheduler import Scheduler


class Sender(Protocol):
    """What a process has of the world to send."""

    random: Random
    points: Points

    @property
    def scheduler(self) -> Scheduler: ...
    @property
    def port_faults(self) -> PortFaults: ...
    def send(self, topic: str, value: bytes, on_done: Callable[[bool], None]) -> None:
        """A record leaves; `on_done` hears whether it came into the log."""


class Producer:
    """See `LogProducer`. A delivery may fail of a record that came into the log, and of one that did not."""

    def __init__(self, sender: Sender) -> None:
        self._sender = sender
        self._on_way = 0
        self._ready: deque[Callable[[], None]] = deque()
        self._bell = Bell(sender.scheduler, "deliveries")

    def send(
        self,
        topic: str,
        partition: int,
        value: bytes,
        key: bytes | None = None,
        on_delivery: Callable[[Delivery], None] | None = None,
    ) -> None:
        """See `LogProducer`."""
        sender = self._sender
        sender.points.before("producer.send")
        if self._on_way >= sender.port_faults.queue_max:
            raise LogBackPressure("the queue is full")
        self._on_way += 1
        waiting = [on_delivery]

        def done(is_there: bool) -> None:
            """Once for each record, however often it arrives."""
            if waiting and waiting.pop() is not None:
                is_heard = is_there and not chance(sender.random, sender.port_faults.cut_off)
                error = None if is_heard or not (is_there or chance(sender.random, 500)) else "no answer"
                self._ready.append(partial(self._serve, on_delivery, Delivery(topic, partition, 0, error)))
                self._bell.ring()

        if chance(sender.random, sender.port_faults.fail):
            done(False)
        else:
            sender.send(topic, value, done)
        sender.points.after("producer.send")

    def poll(self, timeout_ms: int) -> int:
        """See `LogProducer`."""
        self._sender.points.before("producer.poll")
        served = 0
        while self._ready:
            self._ready.popleft()()
            served += 1
        return served

    def flush(self, timeout_ms: int) -> int:
        """See `LogProducer`."""
        agenda = self._sender.scheduler.agenda
        until_ms = agenda.now_ms + timeout_ms
        self.poll(0)
        while self._on_way and agenda.now_ms < until_ms:
            self._bell.wait((until_ms - agenda.now_ms) / 1000)
            self.poll(0)
        return self._on_way

    def close(self) -> None:
        """See `LogProducer`."""
        self._sender.points.before("producer.close")

    def _serve(self, on_delivery: Callable[[Delivery], None] | None, delivery: Delivery) -> None:
        self._on_way -= 1
        if on_delivery is not None:
            on_delivery(delivery)
