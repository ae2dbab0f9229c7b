"""Structured logs: one event a line, JSON for machines, coloured text for people at a terminal.

All lines are ours: what libraries log, warnings, and exceptions that nobody caught, are events too. Of each kind of
event so many a second are written, whoever causes them, and of the others their number.
"""

import logging
import sys
import threading
import time
import warnings
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Final, TextIO, cast

import structlog

from node.home.control import ControlFile
from node.process.terminal import printable
from node.settings.tree import LoggingSettings

FOLLOW_S: Final = 0.5
BURST: Final = 100
PER_S: Final = 10.0
"""Events of a kind that are written: at once, and a second from then on."""
KINDS_MAX: Final = 1_000
TEXT_MAX: Final = 4_000
"""Characters of a library's message, and of the end of an exception that nobody caught."""
_LEVELS: Final = {"debug": 10, "info": 20, "warning": 30, "error": 40}
_KIND: Final = "_kind"

Event = structlog.types.EventDict


class _Level:
    """Of this process. Changed while it runs; each event is held against what it is then."""

    def __init__(self) -> None:
        self.least = _LEVELS["info"]

    def __call__(self, logger: Any, method: str, event: Event) -> Event:
        if _LEVELS.get(method, _LEVELS["error"]) < self.least:
            raise structlog.DropEvent
        return event


class Limit:
    """Writes so many events of a kind; the next one that is written says how many were not."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._kinds: dict[object, tuple[float, float, int]] = {}  # tokens, since, left out

    def __call__(self, logger: Any, method: str, event: Event) -> Event:
        """As a processor of structlog."""
        kind = event.pop(_KIND, None) or (method, event.get("event"))
        with self._lock:
            left_out = self._taken(kind if kind in self._kinds or len(self._kinds) < KINDS_MAX else None)
        if left_out:
            event["left_out"] = left_out
        return event

    def _taken(self, kind: object) -> int:
        now = self._clock()
        tokens, since, left_out = self._kinds.get(kind, (float(BURST), now, 0))
        tokens = min(float(BURST), tokens + (now - since) * PER_S)
        is_written = tokens >= 1
        self._kinds[kind] = (tokens - is_written, now, 0 if is_written else left_out + 1)
        if not is_written:
            raise structlog.DropEvent
        return left_out


class _Libraries(logging.Handler):
    """What libraries log, as events of ours."""

    def emit(self, record: logging.LogRecord) -> None:
        """One message."""
        level = (
            "error" if record.levelno >= logging.ERROR else "warning" if record.levelno >= logging.WARNING else "info"
        )
        facts: dict[str, Any] = {"library": record.name, "text": record.getMessage()[:TEXT_MAX]}
        if record.exc_info and record.exc_info[1] is not None:
            facts |= {"exception": _told(record.exc_info[1])}
        facts[_KIND] = (record.name, record.levelno, str(record.msg)[:200])
        getattr(_log, level)("message of a library", **facts)


class _Lossy:
    """A stream that loses what the disk does not take: what a process does must not end with telling of it."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self.isatty = stream.isatty

    def write(self, text: str) -> int:
        with suppress(OSError):
            self._stream.write(text)
        return len(text)

    def flush(self) -> None:
        with suppress(OSError):
            self._stream.flush()


_level: Final = _Level()
_log = structlog.get_logger()


def start_logging(settings: LoggingSettings, home: Path, process: str) -> None:
    """Set this process' logs up, before anything is logged. Raises: OSError where the file cannot be opened."""
    stream: TextIO = sys.stderr
    if settings.file is not None:
        stream = (home / settings.file).open("a", buffering=1)
    _level.least = _LEVELS[settings.level]
    lossy = cast(TextIO, _Lossy(stream))
    structlog.configure(
        processors=[
            _level,
            Limit(),
            _naming(process),
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            *_renderers(settings, lossy),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(_LEVELS["debug"]),
        logger_factory=structlog.WriteLoggerFactory(lossy),
        cache_logger_on_first_use=True,
    )
    _take_over()


def _take_over() -> None:
    """Nothing else writes to where the log goes."""
    root = logging.getLogger()
    root.handlers[:] = [_Libraries(logging.WARNING)]
    root.setLevel(logging.WARNING)
    warnings.showwarning = _on_warning  # type: ignore[assignment]  # takes what follows as it comes
    sys.excepthook = _on_exception
    sys.unraisablehook = lambda lost: _on_lost("an exception came where none can be raised", lost.exc_value)
    threading.excepthook = lambda lost: _on_lost("a thread has ended by an exception", lost.exc_value)


def _on_warning(message: Warning | str, category: type[Warning], file: str, line: int, *_: Any) -> None:
    _log.warning("message of a library", library="warnings", text=str(message)[:TEXT_MAX], at=f"{file}:{line}")


def _on_exception(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    _log.error("an exception that nobody caught", exception=_told(error))


def _on_lost(what: str, error: BaseException | None) -> None:
    _log.error(what, exception=_told(error))


def _told(error: BaseException | None) -> str:
    if error is None:
        return ""
    # Loaded where something goes wrong.
    from traceback import format_exception

    return "".join(format_exception(error))[-TEXT_MAX:]


def follow_level(settings: LoggingSettings, control: ControlFile) -> None:
    """Log from now on at the level that operators want, in the end that of the settings."""
    _level.least = _LEVELS[control.read().log_level or settings.level]


def following_level(settings: LoggingSettings, file: Path) -> None:
    """`follow_level` as long as the process lives, in a thread of its own."""
    control, never = ControlFile(file), threading.Event()

    def follow() -> None:
        while not never.wait(FOLLOW_S):
            follow_level(settings, control)

    threading.Thread(target=follow, name="log level", daemon=True).start()


def _naming(process: str) -> structlog.types.Processor:
    def name_process(logger: Any, method: str, event: Event) -> Event:
        return {"process": process, **event}

    return name_process


def _renderers(settings: LoggingSettings, stream: TextIO) -> list[Any]:
    for_people = settings.format == "console" or (settings.format == "auto" and stream.isatty())
    if for_people and settings.file is None:
        return [_printable, structlog.dev.ConsoleRenderer(colors=stream.isatty())]
    return [structlog.processors.JSONRenderer(default=str)]


def _printable(logger: Any, method: str, event: Event) -> Event:
    """Values as a terminal may show them; the lines of an exception are indented, so that none looks like an event."""
    found: Event = {}
    for name, value in event.items():
        if name == "exception":
            value = "\n".join(f"    {printable(line)}" for line in str(value).split("\n"))
        found[name] = value if isinstance(value, int | float) or name == "exception" else printable(str(value))
    return found
