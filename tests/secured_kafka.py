"""A real Kafka with one more listener: TLS, and a name with a password (SASL PLAIN) for each client."""

from collections.abc import Mapping
from pathlib import Path

from node.embedded.broker import LocalBroker, free_ports
from tests.certificates import Certificate

_LISTENER = "SECURED"


class SecuredBroker(LocalBroker):
    """A broker whose `secured` address wants a certificate looked at, and one of `passwords`, by name."""

    def __init__(self, folder: Path, certificate: Certificate, passwords: Mapping[str, str]) -> None:
        super().__init__(folder)
        self._certificate = certificate
        self._passwords = passwords
        (self._secured_port,) = free_ports(1)

    @property
    def secured(self) -> str:
        """The address for clients."""
        return f"127.0.0.1:{self._secured_port}"

    def _configure(self, java: list[str]) -> None:
        super()._configure(java)
        file = self._config("server")
        said = dict(line.split("=", 1) for line in file.read_text().splitlines())
        for name in ("listeners", "advertised.listeners"):
            said[name] += f",{_LISTENER}://{self.secured}"
        said["listener.security.protocol.map"] += f",{_LISTENER}:SASL_SSL"
        store = self.folder / "keystore.pem"
        store.write_text(self._certificate.key_file.read_text() + self._certificate.certificate_file.read_text())
        users = " ".join(f'user_{name}="{password}"' for name, password in self._passwords.items())
        prefix = f"listener.name.{_LISTENER.lower()}"
        said |= {
            f"{prefix}.ssl.keystore.type": "PEM",
            f"{prefix}.ssl.keystore.location": str(store),
            f"{prefix}.sasl.enabled.mechanisms": "PLAIN",
            f"{prefix}.plain.sasl.jaas.config": (
                f"org.apache.kafka.common.security.plain.PlainLoginModule required {users};"
            ),
        }
        file.write_text("".join(f"{name}={value}\n" for name, value in said.items()))
