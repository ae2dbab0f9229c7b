"""Structured logs: one event a line, JSON for machines, coloured text for people at a terminal."""

import sys
import threading
from contextlib import suppress
from pathlib import Path
from typing import Any, Final, TextIO, cast

import structlog

from node.control import ControlFile
from node.settings import LoggingSettings

FOLLOW_S: Final = 0.5
_LEVELS: Final = {"debug": 10, "info": 20, "warning": 30, "error": 40}


class _Level:
    """Of this process. Changed while it runs; each event is held against what it is then."""

    def __init__(self) -> None:
        self.least = _LEVELS["info"]

    def __call__(self, logger: Any, method: str, event: structlog.types.EventDict) -> structlog.types.EventDict:
        if _LEVELS.get(method, _LEVELS["error"]) < self.least:
            raise structlog.DropEvent
        return event


_level: Final = _Level()


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


def start_logging(settings: LoggingSettings, home: Path, process: str) -> None:
    """Set this process' logs up, once, before anything is logged. Raises: OSError where the file cannot be opened."""
    stream: TextIO = sys.stderr
    if settings.file is not None:
        stream = (home / settings.file).open("a", buffering=1)
    _level.least = _LEVELS[settings.level]
    lossy = cast(TextIO, _Lossy(stream))
    structlog.configure(
        processors=[
            _level,
            _naming(process),
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            _renderer(settings, lossy),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(_LEVELS["debug"]),
        logger_factory=structlog.WriteLoggerFactory(lossy),
        cache_logger_on_first_use=True,
    )


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
    def name_process(logger: Any, method: str, event: structlog.types.EventDict) -> structlog.types.EventDict:
        return {"process": process, **event}

    return name_process


def _renderer(settings: LoggingSettings, stream: TextIO) -> Any:
    for_people = settings.format == "console" or (settings.format == "auto" and stream.isatty())
    if for_people and settings.file is None:
        return structlog.dev.ConsoleRenderer(colors=stream.isatty())
    return structlog.processors.JSONRenderer()
