"""HTTP/1.1 as h11 reads it, less what a proxy before this server may read differently: there a request could be hidden
in the body of another.
"""

import re
from typing import Final

import h11

_END: Final = b"\r\n\r\n"
_UNEVEN: Final = re.compile(rb"(?<!\r)\n|\n[ \t]")
"""A line that ends in LF alone, or goes on in the next."""
_VERSIONS: Final = (b"1.0", b"1.1")
_READING: Final = (h11.IDLE, h11.SEND_BODY)
"""In other states what comes is read later."""


class Parser(h11.Connection):
    """The server's side of a connection. Lines end in CR LF and are whole, a body has one length, and chunks end in
    nothing but their end.
    """

    def __init__(self, head_bytes_max: int) -> None:
        super().__init__(h11.SERVER, max_incomplete_event_size=head_bytes_max)
        self._newest = b""
        """Where what was read last ends: all before it is read, but for the last bytes."""
        self._is_chunked = False

    def receive_data(self, data: bytes) -> None:
        """Some of a request. Raises: RuntimeError, after an end."""
        unread = self._newest[-len(_END) :] if self.their_state in _READING else self._newest
        self._newest = unread + data
        super().receive_data(data)

    def next_event(self) -> h11.Event | type[h11.NEED_DATA] | type[h11.PAUSED]:
        """Raises: h11.RemoteProtocolError."""
        received = self.trailing_data[0] if self.their_state is h11.IDLE else b""
        event = super().next_event()
        if isinstance(event, h11.Request):
            self._check_head(received, event)
        elif isinstance(event, h11.EndOfMessage) and self._is_chunked:
            self._check_end(event)
        return event

    def _check_head(self, received: bytes, request: h11.Request) -> None:
        lines, end, _ = received.partition(_END)
        if not end or _UNEVEN.search(lines):
            raise h11.RemoteProtocolError("A line of a head ends in CR LF and is whole.")
        if request.http_version not in _VERSIONS:
            raise h11.RemoteProtocolError("Only HTTP/1.0 and HTTP/1.1 are spoken here.")
        names = [name for name, _ in request.headers]
        self._is_chunked = b"transfer-encoding" in names
        if self._is_chunked and (b"content-length" in names or request.http_version == b"1.0"):
            raise h11.RemoteProtocolError("A body has one length; chunks are of HTTP/1.1.")

    def _check_end(self, end: h11.EndOfMessage) -> None:
        read = self._newest[: len(self._newest) - len(self.trailing_data[0])]
        if list(end.headers) or not read.endswith(_END):
            raise h11.RemoteProtocolError("Chunks end in CR LF, with no trailer.")
