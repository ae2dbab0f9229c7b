"""The admin process: management at a socket of its own, until SIGTERM."""

import os
import socket
import ssl
from contextlib import suppress
from functools import partial
from typing import Final

from node import wiring
from node.home.actions import Actions
from node.home.control import ControlFile
from node.home.layout import Home
from node.home.tokens import Tokens
from node.metrics.values import Values
from node.metrics.writing import writing
from node.process.process import Process
from node.settings.admin import UNIX
from node.settings.tree import BadSettings
from serving.charging import Rate
from serving.server import Listener, listening, serve, tcp_socket
from sync.address import host_and_port

PATH_BYTES_MAX: Final = 100
"""Of a Unix socket's path, which the system bounds; a longer one is reached through its open folder."""


def run_admin(process: Process) -> None:
    """Until SIGTERM. Raises: HomeUnusable, BadSettings."""
    home, listen = process.home, process.settings.admin.listen
    where = str(home.admin_socket) if listen == UNIX else listen
    make = partial(_unix_socket, home) if listen == UNIX else partial(tcp_socket, *host_and_port(listen))
    tls = _tls(process)
    on = listening(process, lambda: Listener(make(), tls), where)
    if on is None:
        return
    try:
        with on.socket, writing(home, "admin", process.settings.metrics, Values("admin")):
            _serve(process, on)
    finally:
        if listen == UNIX:
            home.admin_socket.unlink(missing_ok=True)


def _serve(process: Process, on: Listener) -> None:
    # Loaded by this process alone.
    from api.admin.action_rows import Copying
    from api.admin.actions import ActionContext
    from api.admin.app import BURST, LIMITS, RATE_PER_S, Parts, make_admin_app
    from api.admin.runner import ActionRunner

    home, settings = process.home, process.settings
    url = wiring.database_url(home, settings)
    actions = Actions(home.actions_file)
    copying = Copying(url, actions)
    place = wiring.snapshot_place(home, settings)
    context = ActionContext(home, settings, url, place, ControlFile(home.control_file), process.stop.is_set)
    runner = ActionRunner(context, actions, copying.changed)
    copying.start()
    try:
        app = make_admin_app(Parts(context, Tokens(home.tokens_file), actions, runner), Rate(RATE_PER_S, BURST))
        serve(process, app, on, LIMITS, app.router.lifespan_context(app))
    finally:
        copying.stop()
        actions.close()


def _tls(process: Process) -> ssl.SSLContext | None:
    """Raises: BadSettings."""
    admin, home = process.settings.admin, process.home
    if admin.certificate_file is None or admin.certificate_key_file is None:
        return None
    found = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    try:
        found.load_cert_chain(home.resolve(admin.certificate_file), home.resolve(admin.certificate_key_file))
        if admin.client_ca_file is not None:
            found.load_verify_locations(home.resolve(admin.client_ca_file))
            found.verify_mode = ssl.CERT_REQUIRED
    except (OSError, ssl.SSLError) as error:
        raise BadSettings(f"admin: a certificate cannot be used: {error}.") from error
    return found


def _unix_socket(home: Home) -> socket.socket:
    """Bound, for the owner of the home alone. Raises: OSError."""
    with suppress(FileNotFoundError):
        home.admin_socket.unlink()  # of a process that was killed; the home is held, so there is no other
    found = socket.socket(socket.AF_UNIX)
    folder = os.open(home.run, os.O_RDONLY | os.O_DIRECTORY)
    before = os.umask(0o177)
    try:
        found.bind(socket_path(home, folder))
    except OSError:
        found.close()
        raise
    finally:
        os.umask(before)
        os.close(folder)
    return found


def socket_path(home: Home, folder: int) -> str:
    """Where the socket is for the system, its folder being open."""
    path = str(home.admin_socket)
    return path if len(path.encode()) <= PATH_BYTES_MAX else f"/proc/self/fd/{folder}/{home.admin_socket.name}"
