"""Asking a node's management, over its Unix socket or over the network."""

import os
import ssl
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import httpx

from api.admin.process import socket_path
from ledger.errors import CallerError, Unavailable
from node.home.layout import Home
from node.settings.secrets import read_secret

HOLD_MS: Final = 25_000
TIMEOUT_S: Final = 60.0


class AdminUnreachable(Unavailable):
    """Nothing answers there, or nothing that can be trusted."""


class AdminRefused(CallerError):
    """The node does not do that; the message is its own. `status` is the HTTP status."""

    def __init__(self, status: int, sentence: str) -> None:
        super().__init__(sentence)
        self.status = status


@dataclass(frozen=True, slots=True)
class Access:
    """How to reach one. `address` is `http(s)://host:port`; empty: the socket of the home. Files are PEM."""

    home: Home
    address: str
    token_file: Path
    ca_file: Path | None = None
    certificate_file: Path | None = None
    certificate_key_file: Path | None = None


class AdminClient:
    """One node's management, with one token."""

    def __init__(self, http: httpx.Client) -> None:
        self._http = http

    def get(self, path: str, **parameters: Any) -> dict[str, Any]:
        """What the node says. Raises: AdminUnreachable, AdminRefused."""
        return dict(self._asked("GET", path, params=parameters).json())

    def download(self, path: str) -> bytes:
        """A file. Raises: AdminUnreachable, AdminRefused."""
        return self._asked("GET", path).content

    def act(self, name: str, why: str, arguments: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """Have something done, and wait until it has ended; the action. Raises: AdminUnreachable, AdminRefused."""
        action = dict(
            self._asked(
                "POST",
                f"/actions/{name}",
                json=dict(arguments or {}),
                params={"hold_ms": HOLD_MS},
                headers={"Momus-Why": why.encode()},
            ).json()
        )
        while action["took_ms"] is None and action["outcome"] == "under way":
            action = self.get(f"/actions/{action['number']}", hold_ms=HOLD_MS)
        return action

    def _asked(self, method: str, path: str, **more: Any) -> httpx.Response:
        try:
            response = self._http.request(method, path, **more)
        except httpx.HTTPError as error:
            raise AdminUnreachable(
                f"The node's management does not answer ({error}): start the node with `momus run`, or see with "
                "`momus status` how it does, and whether admin.listen is set."
            ) from error
        if response.is_error:
            raise AdminRefused(response.status_code, _sentence(response))
        return response


@contextmanager
def admin_client(access: Access) -> Iterator[AdminClient]:
    """Connected while the body runs. Raises: AdminUnreachable."""
    try:
        token = read_secret(access.token_file)
    except (OSError, ValueError) as error:
        raise AdminUnreachable(
            f"There is no token in {access.token_file} ({error}): give --token-file, or make one with "
            "`momus admin token add`."
        ) from error
    folder = os.open(access.home.run, os.O_RDONLY | os.O_DIRECTORY) if not access.address else None
    try:
        if folder is None:
            transport = httpx.HTTPTransport(verify=_trust(access))
        else:
            transport = httpx.HTTPTransport(uds=socket_path(access.home, folder))
        base = (access.address or "http://node") + "/v1"
        headers = {"Authorization": f"Bearer {token}"}
        with httpx.Client(transport=transport, base_url=base, headers=headers, timeout=TIMEOUT_S) as http:
            yield AdminClient(http)
    finally:
        if folder is not None:
            os.close(folder)


def _trust(access: Access) -> ssl.SSLContext:
    """Raises: AdminUnreachable."""
    try:
        context = ssl.create_default_context(cafile=access.ca_file)
        if access.certificate_file is not None:
            context.load_cert_chain(access.certificate_file, access.certificate_key_file)
    except (OSError, ssl.SSLError) as error:
        raise AdminUnreachable(f"A certificate cannot be used: {error}.") from error
    return context


def _sentence(response: httpx.Response) -> str:
    try:
        document = response.json()
        return f"{document['title']} {document['detail']}".strip()
    except (ValueError, KeyError, TypeError):
        return f"HTTP status {response.status_code}"
