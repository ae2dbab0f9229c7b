"""Carrying out: written down first, then done in a thread, then written down how it ended. One of a kind at a time."""

import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any, Final

import structlog

from api.admin.actions import ActionContext, AdminAction, Arguments, stop_node
from ledger.errors import Halt, Unavailable
from node.home.actions import DONE, FAILED, Action, Actions
from node.home.tokens import Token
from serving.problems import Problem

WHY_MAX: Final = 500

_log = structlog.get_logger()


class ActionRunner:
    """Of one admin process; `changed` is called after each line that was written."""

    def __init__(self, context: ActionContext, actions: Actions, changed: Callable[[], None]) -> None:
        self._context = context
        self._actions = actions
        self._changed = changed
        self._lock = threading.Lock()
        self._under_way: set[str] = set()
        self._ended = threading.Condition()

    def begin(self, kind: AdminAction, arguments: Arguments, token: Token, why: str) -> Action:
        """Written down, and under way. Raises: Problem (busy, or it cannot be written down)."""
        with self._lock:
            if kind.name in self._under_way:
                raise Problem("busy", f"A {kind.name} is under way; GET /v1/actions shows it.")
            given = arguments.model_dump(mode="json")
            try:
                action = self._actions.begin(token.name, token.role, kind.name, given, why)
            except OSError as error:
                raise Problem("not_recorded", str(error)) from error
            self._under_way.add(kind.name)
        _log.info("action", number=action.number, action=kind.name, by=token.name, why=why, **_said(given))
        self._changed()
        threading.Thread(target=self._do, args=(kind, arguments, action), name=kind.name, daemon=True).start()
        return action

    def wait(self, number: int, timeout_s: float) -> Action | None:
        """The action, as it stands when it has ended or the time is over; None: there is none."""

        def is_over() -> bool:
            action = self._actions.get(number)
            return action is None or action.took_ms is not None

        with self._ended:
            self._ended.wait_for(is_over, timeout_s)
        return self._actions.get(number)

    def _do(self, kind: AdminAction, arguments: Arguments, action: Action) -> None:
        try:
            outcome, result = DONE, kind.do(self._context, arguments, action.number)
        except (Unavailable, Halt, OSError) as error:
            outcome, result = FAILED, {"reason": str(error)}
        _log.info("action ended", number=action.number, action=kind.name, outcome=outcome, **_said(result))
        with self._lock:
            self._under_way.discard(kind.name)
        # Where the disk refuses, the action shows as broken off when the node starts again.
        with suppress(OSError):
            self._actions.end(action, outcome, result)
        with self._ended:
            self._ended.notify_all()
        self._changed()
        if kind.name == "stop" and outcome == DONE:
            stop_node()


def _said(facts: Mapping[str, Any]) -> dict[str, str]:
    """As one field of a log line."""
    return {"facts": str(dict(facts))[:1_000]} if facts else {}
