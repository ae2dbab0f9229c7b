"""Something that runs while a `with` block does: drained at its end, ended at once where the block fails."""

from abc import ABC, abstractmethod
from types import TracebackType
from typing import Self


class Started(ABC):
    """Processes on this machine, started on entering the block."""

    @abstractmethod
    def start(self) -> None:
        """Start, and wait until it runs. Raises: NodeFailed."""

    @abstractmethod
    def stop(self) -> object:
        """Drain, and wait until it has ended. Raises: NodeFailed."""

    @abstractmethod
    def abort(self) -> None:
        """End it at once, with all that it started."""

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:
            self.abort()
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if error is None:
            self.stop()
        else:
            self.abort()
