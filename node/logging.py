"""Structured logs: one event a line, JSON for machines, coloured text for people at a terminal."""

import sys
from pathlib import Path
from typing import Any, TextIO

import structlog

from node.settings import LoggingSettings

_LEVELS = {"debug": 10, "info": 20, "warning": 30, "error": 40}


def start_logging(settings: LoggingSettings, home: Path, process: str) -> None:
    """Set this process' logs up, once, before anything is logged. Raises: OSError where the file cannot be opened."""
    stream: TextIO = sys.stderr
    if settings.file is not None:
        stream = (home / settings.file).open("a", buffering=1)
    structlog.configure(
        processors=[
            _naming(process),
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            _renderer(settings, stream),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(_LEVELS[settings.level]),
        logger_factory=structlog.WriteLoggerFactory(stream),
        cache_logger_on_first_use=True,
    )


def _naming(process: str) -> structlog.types.Processor:
    def name_process(logger: Any, method: str, event: structlog.types.EventDict) -> structlog.types.EventDict:
        return {"process": process, **event}

    return name_process


def _renderer(settings: LoggingSettings, stream: TextIO) -> Any:
    for_people = settings.format == "console" or (settings.format == "auto" and stream.isatty())
    if for_people and settings.file is None:
        return structlog.dev.ConsoleRenderer(colors=stream.isatty())
    return structlog.processors.JSONRenderer()
