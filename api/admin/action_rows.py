"""The copy of the actions in the node's database, for `api.admin_actions`."""

import json
import threading
from typing import Final

import structlog

from node.home.actions import KEPT, Action, Actions
from projections.session.connect import connect
from projections.session.errors import DatabaseUnavailable, DatabaseUnusable, translated

RETRY_S: Final = 5.0
_PUT: Final = """INSERT INTO ledger.admin_actions
    (number, at, actor, role, action, arguments, why, outcome, result, took_ms)
VALUES (%s, timestamptz 'epoch' + %s * interval '1 millisecond', %s, %s, %s, %s, %s, %s, %s, %s)
ON CONFLICT (number) DO UPDATE SET outcome = excluded.outcome, result = excluded.result, took_ms = excluded.took_ms
WHERE admin_actions.took_ms IS NULL"""

_log = structlog.get_logger()


class Copying:
    """A thread: whatever changes is copied soon; after a failure all is, which changes nothing where it is there."""

    def __init__(self, url: str, actions: Actions) -> None:
        self._url = url
        self._actions = actions
        self._changed = threading.Event()
        self._stop = threading.Event()
        self._copied: dict[int, Action] = {}
        self._thread = threading.Thread(target=self._run, name="copying", daemon=True)

    def start(self) -> None:
        """Begin, with all that there is."""
        self._changed.set()
        self._thread.start()

    def changed(self) -> None:
        """There is something new."""
        self._changed.set()

    def stop(self) -> None:
        """What is not copied yet is when the process starts again."""
        self._stop.set()
        self._changed.set()
        self._thread.join(RETRY_S)

    def _run(self) -> None:
        while True:
            self._changed.wait()
            if self._stop.is_set():
                return
            self._changed.clear()
            try:
                self._copy()
            except (DatabaseUnavailable, DatabaseUnusable) as error:
                _log.warning("actions are not copied yet", reason=str(error))
                self._copied.clear()
                self._changed.set()
                self._stop.wait(RETRY_S)

    def _copy(self) -> None:
        new = [each for each in self._actions.newest(KEPT) if self._copied.get(each.number) is not each]
        with translated(), connect(self._url, "momus admin") as connection, connection.cursor() as cursor:
            cursor.executemany(_PUT, [_row(action) for action in new])
        self._copied.update((each.number, each) for each in new)


def _row(action: Action) -> tuple[object, ...]:
    result = None if action.result is None else _text(action.result)
    return (
        action.number,
        action.at_ms,
        action.actor,
        action.role,
        action.action,
        _text(action.arguments),
        action.why.replace("\0", ""),
        action.outcome,
        result,
        action.took_ms,
    )


def _text(document: object) -> str:
    """JSON that Postgres takes: it has no character 0."""
    return json.dumps(document).replace("\\u0000", "")
