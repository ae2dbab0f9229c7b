"""The settings of management, a branch of the tree."""

from ipaddress import ip_address
from pathlib import Path
from typing import Annotated, Final

from pydantic import AfterValidator, model_validator

from node.settings.declare import Part, words
from sync.address import host_and_port

UNIX: Final = "unix"


def _checked_listen(text: str) -> str:
    if text not in ("", UNIX):
        host_and_port(text)
    return text


class AdminSettings(Part):
    """Management of the node (docs/management.md). Every request needs a token, wherever it comes from."""

    listen: Annotated[str, AfterValidator(_checked_listen)] = words(
        UNIX,
        "`unix` (the socket `run/admin.sock` of the home), or `host:port`, which needs a certificate unless the "
        "address is of this machine alone; none: there is no management, and no process for it.",
    )
    certificate_file: Path | None = words(None, "PEM file of the certificate (with its chain) that `listen` shows.")
    certificate_key_file: Path | None = words(None, "PEM file of its key, without a passphrase.")
    client_ca_file: Path | None = words(
        None, "PEM file of who signs the certificates of those who may connect; none: whoever has a token."
    )

    @model_validator(mode="after")
    def _is_safe(self) -> "AdminSettings":
        if (self.certificate_file is None) != (self.certificate_key_file is None):
            raise ValueError("certificate_file and certificate_key_file go together")
        if self.client_ca_file is not None and self.certificate_file is None:
            raise ValueError("client_ca_file needs certificate_file")
        is_tcp = self.listen not in ("", UNIX)
        if self.certificate_file is not None and not is_tcp:
            raise ValueError("certificate_file needs `host:port` as listen")
        if is_tcp and self.certificate_file is None and not _is_loopback(host_and_port(self.listen)[0]):
            raise ValueError(
                "tokens would cross the network in clear text: give certificate_file, or a loopback address"
            )
        return self


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host == "localhost"
