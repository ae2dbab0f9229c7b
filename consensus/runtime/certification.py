"""Carries out what the `Certifier` decides: signs, keeps, sends, and stops on a fork."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Final

from consensus.core import certifier
from consensus.core.certifier import Certifier
from consensus.core.timers import ConsensusSettings
from consensus.runtime.errors import ForkFound, SecondInstance, ValidatorHalt
from consensus.runtime.ports import LoopPorts
from consensus.wire.checkpoint_messages import (
    CheckpointCertificate,
    CheckpointMessage,
    CheckpointSignature,
    CheckpointWire,
    Claim,
)
from consensus.wire.topics import consensus_topics
from ledger.checkpoint import Checkpoint

_FORK: Final = (
    "The state of height {} has the root {} here, but {}. Nothing more is signed. What both sides signed lies in the "
    "home's folder `evidence`, and beside it, once this node has compared, the rows that differ. `momus recover` "
    "builds the database anew."
)
_ELSEWHERE: Final = (
    "Our key has signed a checkpoint of height {} that our journal does not know: the journal was rolled back, or the "
    "key is in use elsewhere. Stop the other instance and put the newest journal back; if it is gone, give this "
    "validator a fresh key."
)

Send = Callable[[str, bytes], None]
"""(topic, value): leaves at the end of the turn, after the journal's commit."""


class Certification:
    """One validator's; used by its loop alone. Raises from all `on_...`: SecondInstance, StoreFailed.

    `fork` is why this validator must stop once what it has said is out; from then on nothing more is done here.
    """

    def __init__(
        self, ports: LoopPorts, settings: ConsensusSettings, send: Send, halt: Callable[[ValidatorHalt], None]
    ) -> None:
        genesis = ports.genesis
        self._ports = ports
        self._send = send
        self._halt = halt
        self.fork: ForkFound | None = None
        self._own_topic = consensus_topics(genesis, ports.committees.current)[ports.index]
        self._topic = genesis.topic_name("checkpoints")
        self._wire = CheckpointWire(genesis, ports.committees, ports.verify)
        signed, certified = self._held(ports.journal.claimed), self._held(ports.store.last_certificate())
        assert not isinstance(signed, CheckpointCertificate), "the journal holds what we signed"
        assert not isinstance(certified, CheckpointSignature), "the store holds certificates"
        self._certifier = Certifier(
            self._wire,
            ports.key.public_key,
            settings.resend_ms,
            settings.blocks_delay_ms,
            signed,
            certified,
            ports.settled_height,
        )

    def on_claims(self, checkpoints: Sequence[Checkpoint], now_ms: int) -> None:
        """Checkpoints of our executor, by rising height."""
        self._carry_out(self._certifier.on_claims(checkpoints, now_ms), now_ms)

    def on_value(self, value: bytes | None, now_ms: int) -> None:
        """A record's value, of which `speaks_of_checkpoints` is true."""
        self._carry_out(self._certifier.on_value(value, now_ms), now_ms)

    def on_time(self, now_ms: int) -> None:
        """At the end of each turn."""
        self._carry_out(self._certifier.on_time(now_ms), now_ms)

    def next_ms(self) -> int | None:
        """When `on_time` has something to do."""
        return self._certifier.next_ms()

    def status(self) -> Mapping[str, int]:
        """Gauges; from any thread."""
        refused = {f"refused_checkpoints_{why}": count for why, count in dict(self._certifier.refused).items()}
        return {"certified_height": self._certifier.height, **refused}

    def _held(self, value: bytes | None) -> CheckpointMessage | None:
        if value is None:
            return None
        message = self._wire.decode(value)
        assert isinstance(message, CheckpointMessage), "our files hold what we wrote"
        return message

    def _signed(self, own: Claim) -> bytes | None:
        """Our own word for a claim; None where we have not signed it."""
        value = self._ports.journal.claimed
        message = self._held(value)
        return value if isinstance(message, CheckpointSignature) and message.claim.digest == own.digest else None

    def _carry_out(self, actions: Iterable[certifier.Action], now_ms: int) -> None:
        ports = self._ports
        for action in actions:
            if self.fork is not None:
                return
            match action:
                case certifier.SignClaim(statement):
                    signature = ports.key.sign(self._wire.signing_bytes(statement.claim))
                    message = replace(statement, signature=signature)
                    ports.journal.add_claimed(message.claim.height, self._wire.encode(message))
                    self._carry_out(self._certifier.on_signed(message, now_ms), now_ms)
                case certifier.SayAgain(message):
                    self._send(self._own_topic, self._wire.encode(message))
                case certifier.Certified(certificate):
                    self._keep(certificate)
                case certifier.Publish(certificate):
                    self._send(self._topic, self._wire.encode(certificate))
                case _:
                    self._report(action)

    def _keep(self, certificate: CheckpointCertificate) -> None:
        """Before the journal may note how far topics were read: a certificate that was read is not read again."""
        self._ports.on_durable("certificate.before")
        self._ports.store.append_certificate(certificate.claim.height, self._wire.encode(certificate))
        self._ports.on_durable("certificate.after")

    def _report(
        self,
        action: certifier.ClaimDiffers | certifier.Contradiction | certifier.CheckpointFork | certifier.SignedElsewhere,
    ) -> None:
        """Raises: SecondInstance."""
        report, encode = self._ports.report, self._wire.encode
        match action:
            case certifier.ClaimDiffers(own, other):
                both = {"own": own.checkpoint_bytes, "other": encode(other)}
                report("state_differs", {"validator": other.validator, "height": own.height, **both})
            case certifier.Contradiction(first, second):
                facts = {"validator": first.validator, "first": encode(first), "second": encode(second)}
                report("evidence", facts)
            case certifier.CheckpointFork(why, own, others):
                report("fork", {"why": why, **fork_facts(self._wire, own, others), "own_signed": self._signed(own)})
                self.fork = ForkFound(_FORK.format(own.height, own.checkpoint.state_root.hex(), why))
            case certifier.SignedElsewhere(message):
                self._halt(SecondInstance(_ELSEWHERE.format(message.claim.height)))


def fork_facts(wire: CheckpointWire, own: Claim, others: Sequence[CheckpointMessage]) -> dict[str, object]:
    """What a report of a fork has of both sides: the roots, and what they are signed in."""
    return {
        "height": own.height,
        "state_root": own.checkpoint.state_root,
        "other_state_root": others[0].claim.checkpoint.state_root,
        "own": own.checkpoint_bytes,
        "others": [*map(wire.encode, others)],
    }
