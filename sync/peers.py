"""Asks other nodes for records, and believes none of them: what comes back must hash from the one head to the other.

Peers are asked in turn, beginning with another one each time. One that cannot be reached, that does not answer in time
or says that it is unable is backed off from for a short while, which grows; one that answers wrongly for a long one,
which grows too. Saying "I do not have that" is neither. Nothing is asked of a peer that it could keep open: head, body
and time of an answer are bounded, redirects and compression are not followed.
"""

import asyncio
import ssl
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import httpx

from backbone.store import StoredRecord
from ledger.backoff import Backoff
from ledger.header import Head
from sync.address import checked_address
from sync.asked import PATH, Asked
from sync.records import MEDIA_TYPE, RangeLimits, RangeReader, Wrong

FAILED_S: Final = Backoff(1.0, 60.0)
WRONG_S: Final = Backoff(60.0, 3_600.0)


@dataclass(frozen=True, slots=True)
class PeerLimits:
    """Bounds of asking. `request_ms` is for one whole answer of one peer, `fetch_ms` for all peers together."""

    range: RangeLimits = field(default_factory=RangeLimits)
    connect_ms: int = 1_000
    silence_ms: int = 2_000
    request_ms: int = 10_000
    fetch_ms: int = 20_000


@dataclass(slots=True)
class Peer:
    """What is known of one peer. Counts since the start; not asked again before `again_at_s`."""

    url: str
    answers: int = 0
    misses: int = 0
    failures: int = 0
    wrongs: int = 0
    failures_in_a_row: int = 0
    again_at_s: float = 0.0
    last_trouble: str = ""


@dataclass(frozen=True, slots=True)
class _Missed:
    """It does not hold the range, or says that it is too large for it."""


@dataclass(frozen=True, slots=True)
class _Failed:
    """It did not answer, or not whole, or says that it cannot."""

    why: str


_Outcome = list[StoredRecord] | _Missed | _Failed | Wrong


class PeerRecords:
    """The records that other nodes hold. One thread at a time. Never raises for what a peer does."""

    def __init__(
        self,
        urls: Sequence[str],
        limits: PeerLimits | None = None,
        ca_file: Path | None = None,
        now_s: Callable[[], float] = time.monotonic,
        report: Callable[[str, Mapping[str, object]], None] = lambda what, facts: None,
    ) -> None:
        """`urls` are ``http(s)://host:port``. `ca_file` (PEM): who signs their certificates; None: the usual ones.

        `report` is called for every peer that is backed off from. Raises: ValueError where an address is none, OSError
        where `ca_file` cannot be used.
        """
        self.peers: tuple[Peer, ...] = tuple(Peer(checked_address(url)) for url in urls)
        self._limits = limits or PeerLimits()
        self._now_s = now_s
        self._report = report
        self._turn = 0
        self._tls = ssl.create_default_context(cafile=ca_file)

    def fetch(self, before: Head, target: Head) -> list[StoredRecord] | None:
        """The records of one partition and incarnation above `before`, re-hashed to `target`.

        None: nobody who could be asked within `fetch_ms` has them. Blocks for as long.
        """
        same = (before.partition, before.incarnation) == (target.partition, target.incarnation)
        if not same or before.end_offset >= target.end_offset:
            return None
        due = self._due()
        return asyncio.run(self._fetch(due, Asked(before, target))) if due else None

    def status(self) -> list[dict[str, object]]:
        """Each peer with its counts, for people."""
        now_s = self._now_s()
        return [
            {
                "url": peer.url,
                "answers": peer.answers,
                "misses": peer.misses,
                "failures": peer.failures,
                "wrongs": peer.wrongs,
                "asked_again_in_s": round(max(0.0, peer.again_at_s - now_s), 1),
                "last_trouble": peer.last_trouble,
            }
            for peer in self.peers
        ]

    def _due(self) -> list[Peer]:
        """Who is to be asked, in this fetch's order."""
        if not self.peers:
            return []
        first = self._turn % len(self.peers)
        self._turn += 1
        now_s = self._now_s()
        return [peer for peer in self.peers[first:] + self.peers[:first] if peer.again_at_s <= now_s]

    async def _fetch(self, due: Sequence[Peer], asked: Asked) -> list[StoredRecord] | None:
        limits = self._limits
        loop = asyncio.get_running_loop()
        deadline = loop.time() + limits.fetch_ms / 1000
        timeout = httpx.Timeout(limits.silence_ms / 1000, connect=limits.connect_ms / 1000)
        async with httpx.AsyncClient(verify=self._tls, trust_env=False, timeout=timeout) as client:
            for peer in due:
                left_s = deadline - loop.time()
                if left_s <= 0:
                    return None
                outcome = await self._ask_in_time(client, peer, asked, min(left_s, limits.request_ms / 1000))
                self._judge(peer, outcome)
                if isinstance(outcome, list):
                    return outcome
        return None

    async def _ask_in_time(self, client: httpx.AsyncClient, peer: Peer, asked: Asked, within_s: float) -> _Outcome:
        try:
            async with asyncio.timeout(within_s):
                return await self._ask(client, peer, asked)
        except TimeoutError:
            return _Failed(f"no whole answer within {within_s:.1f} s")
        except (httpx.HTTPError, httpx.InvalidURL, httpx.StreamError, OSError) as error:
            return _Failed(str(error) or type(error).__name__)

    async def _ask(self, client: httpx.AsyncClient, peer: Peer, asked: Asked) -> _Outcome:
        headers = {"Accept": MEDIA_TYPE, "Accept-Encoding": "identity"}
        address = peer.url + PATH
        async with client.stream("GET", address, params=asked.query(), headers=headers) as response:
            code = response.status_code
            if code in (404, 413):
                return _Missed()
            if code == 429 or code >= 500:
                return _Failed(f"status {code}")
            if code != 200:
                return Wrong(f"status {code}")
            if response.headers.get("content-type") != MEDIA_TYPE or "content-encoding" in response.headers:
                return Wrong("another media type")
            return await self._read(response, asked)

    async def _read(self, response: httpx.Response, asked: Asked) -> list[StoredRecord] | Wrong:
        reader = RangeReader(asked.before, asked.target, self._limits.range)
        async for piece in response.aiter_raw():
            wrong = reader.feed(piece)
            if wrong is not None:
                return wrong
        return reader.finish()

    def _judge(self, peer: Peer, outcome: _Outcome) -> None:
        match outcome:
            case list():
                peer.answers += 1
                peer.failures_in_a_row = 0
            case _Missed():
                peer.misses += 1
                peer.failures_in_a_row = 0
            case Wrong(why, is_too_large=True) | _Failed(why):
                # What is too large for us may still be what was asked for.
                peer.failures += 1
                self._leave(peer, why, FAILED_S.wait(peer.failures_in_a_row))
                peer.failures_in_a_row += 1
            case Wrong(why):
                peer.wrongs += 1
                self._leave(peer, why, WRONG_S.wait(peer.wrongs - 1))

    def _leave(self, peer: Peer, why: str, for_s: float) -> None:
        peer.again_at_s, peer.last_trouble = self._now_s() + for_s, why
        self._report("peer", {"url": peer.url, "wrong": peer.wrongs, "why": why, "again_in_s": for_s})
