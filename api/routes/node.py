"""The node itself: how it does, the committee, what speaks against validators, drills. Works while the database is away
as far as it can."""

import asyncio
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Any, Final

from fastapi import APIRouter
from fastapi import Path as PathPart
from starlette.requests import Request
from starlette.responses import Response

from api.reading.answers import answer, of
from api.reading.database import Database, View
from api.reading.listing import Listing, Page
from api.reading.numbers import Numbers
from api.reading.parameters import NothingQ, NumberPageQ
from api.reading.rows import Drill
from api.routes.health import Readiness
from api.routes.node_rows import (
    BLOCKS_LOOKED_AT,
    Consensus,
    DatabaseState,
    Evidence,
    EvidenceList,
    Member,
    NodeStatus,
    Peers,
    ProcessState,
    ValidatorList,
)
from node.home.context import NodeContext
from node.home.known_peers import peers
from node.home.pulse import monotonic_ms
from node.home.status import statuses
from node.process.watching import Dependency
from serving.problems import Problem, described

DATABASE_S: Final = 3.0
EVIDENCE_MAX: Final = 1_000
EVIDENCE_BYTES_MAX: Final = 16 << 20
DRILLS: Final = Listing("drills", Drill, ("drill",))

_STATUS: Final = """SELECT height, time, coalesce(final_height, height) AS final_height,
    coalesce(lag_blocks, 0) AS lag_blocks, digest FROM api.status"""
_PROPOSED: Final = """SELECT proposer, count(*) AS blocks FROM api.blocks
WHERE height > %s GROUP BY proposer"""
_CERTIFIED: Final = "SELECT max(height) AS height FROM api.checkpoints WHERE certified"


@dataclass(frozen=True, slots=True)
class Node:
    """What the answers are made of."""

    context: NodeContext
    database: Database
    numbers: Numbers
    readiness: Readiness
    answers: Dependency
    """Whether the database answers this process."""

    async def status(self) -> NodeStatus:
        """As of now."""
        genesis = self.context.genesis
        database = await self._database()
        health = await self.readiness.health()
        return NodeStatus(
            chain=genesis.chain,
            genesis_digest=genesis.digest.hex(),
            protocol_version=genesis.protocol_version,
            validator=self.context.settings.validator,
            version=version("momus"),
            log=self.context.settings.log.kind,
            checkpoint_heights=genesis.checkpoint_heights,
            window_ms=genesis.limits.window_ms,
            batch_max=genesis.limits.batch_max,
            database=database,
            consensus=self._consensus(),
            processes=[
                ProcessState(name=said.process, state=said.seen, since_ms=said.since_ms, is_alive=said.is_alive)
                for said in statuses(self.context.home.run)
            ],
            ready=health.is_ready,
            reasons=list(health.reasons),
            final_age_ms=health.final_age_ms,
            waiting_records=health.waiting_records,
        )

    async def _database(self) -> DatabaseState | None:
        """None while it does not answer, which nobody waits to find out."""
        if monotonic_ms() - self.answers.part().well_ms > DATABASE_S * 1000:
            return None
        asked = asyncio.create_task(self._ask())
        done, _ = await asyncio.wait((asked,), timeout=DATABASE_S)
        if not done:
            asked.cancel()
        return asked.result() if done else None

    async def _ask(self) -> DatabaseState | None:
        try:
            async with self.database.view() as view:
                return await _database(view)
        except Problem:
            return None

    async def committee(self, view: View) -> ValidatorList:
        """As of a view of the database."""
        rows = await view.rows(_PROPOSED, (view.height - BLOCKS_LOOKED_AT,))
        proposed = {row["proposer"]: row["blocks"] for row in rows}
        silent = (await self.readiness.health()).silent
        members = [
            Member(
                index=index,
                name=validator.name,
                operator_address=validator.operator_address.hex(),
                consensus_key=validator.consensus_key.hex(),
                power=validator.power,
                is_this_node=validator.name == self.context.settings.validator,
                blocks=proposed.get(index, 0),
                missed_votes=self._whole("momus_consensus_missed_votes_total", validator.name),
                nullified_views=self._whole("momus_consensus_nullified_views_total", validator.name),
                is_heard=validator.name not in silent,
                behind_views=self._whole("momus_consensus_behind_views", validator.name),
            )
            for index, validator in enumerate(self.context.committees.current.members)
        ]
        return ValidatorList(items=members, height=view.height)

    def _consensus(self) -> Consensus | None:
        view = self._whole("momus_consensus_view")
        if view is None:
            return None
        median, slowest = (self.numbers.quantile("momus_consensus_finality_seconds", part) for part in (0.5, 0.99))
        blocks, seconds = (self.numbers.value(f"momus_consensus_finality_seconds_{part}") for part in ("count", "sum"))
        return Consensus(
            view=view,
            finality_p50_ms=_ms(median),
            finality_p99_ms=_ms(slowest),
            final_blocks=int(blocks or 0),
            finality_ms=_ms(seconds or 0.0) or 0.0,
        )

    def _whole(self, name: str, label: str = "") -> int | None:
        value = self.numbers.value(name, label)
        return None if value is None else int(value)


def node_router(node: Node) -> APIRouter:
    """GET /status, /validators, /evidence, /drills, /peers."""
    router = APIRouter(tags=["node"])
    answers = described("database_unavailable", "query_too_slow")

    @router.get("/status", name="get_status", responses=of(NodeStatus) | described())
    async def status(request: Request, query: NothingQ) -> Response:
        """How this node does, and the limits of its chain."""
        found = await node.status()
        return answer(request, found, None if found.database is None else found.database.height)

    @router.get("/validators", name="list_validators", responses=of(ValidatorList) | answers)
    async def validators(request: Request, query: NothingQ) -> Response:
        """The committee, who leads and who misses."""
        async with node.database.view() as view:
            found = await node.committee(view)
        return answer(request, found, found.height)

    @router.get("/drills", name="list_drills", responses=of(Page[Drill]) | answers)
    async def drills(request: Request, query: NumberPageQ) -> Response:
        """Recoveries that this node has rehearsed."""
        async with node.database.view() as view:
            found = await DRILLS.page(view, query)
        return answer(request, found, found.height)

    @router.get("/evidence", name="list_evidence", responses=of(EvidenceList) | described())
    async def evidence(request: Request, query: NothingQ) -> Response:
        """What this node keeps against validators."""
        return answer(request, EvidenceList(items=await asyncio.to_thread(_evidence, node.context.home.evidence)), None)

    @router.get("/peers", name="list_peers", responses=of(Peers) | described())
    async def heard(request: Request, query: NothingQ) -> Response:
        """The other nodes, as they announce themselves (docs/discovery.md)."""
        known = await asyncio.to_thread(peers, node.context)
        return answer(request, Peers.model_validate({"items": [asdict(peer) for peer in known]}), None)

    @router.get(
        "/evidence/{name}", name="get_evidence", response_model=dict[str, Any], responses=described("not_found")
    )
    async def evidence_file(
        request: Request,
        name: Annotated[str, PathPart(pattern="^[a-z_]{1,32}-[0-9a-f]{16}$")],
        query: NothingQ,
    ) -> Response:
        """One file: the signed messages."""
        data = await asyncio.to_thread(_evidence_file, node.context.home.evidence / f"{name}.json")
        return Response(data, media_type="application/json")

    return router


async def _database(view: View) -> DatabaseState | None:
    row = await view.row(_STATUS)
    if row is None:
        return None
    certified = await view.row(_CERTIFIED)
    return DatabaseState(
        height=row["height"],
        digest=row["digest"],
        time=row["time"],
        final_height=row["final_height"],
        lag_blocks=row["lag_blocks"],
        history_floor=await view.history_floor(),
        certified_height=None if certified is None else certified["height"],
    )


def _evidence(folder: Path) -> list[Evidence]:
    try:
        files = [(file, file.stat()) for file in folder.glob("*-*.json")]
    except OSError:
        return []
    newest = sorted(files, key=lambda each: -each[1].st_mtime_ns)[:EVIDENCE_MAX]
    return [
        Evidence(
            name=file.stem,
            what=file.stem.rpartition("-")[0],
            size_bytes=stat.st_size,
            kept_at_ms=stat.st_mtime_ns // 1_000_000,
        )
        for file, stat in newest
    ]


def _evidence_file(file: Path) -> bytes:
    """As it is: parsing and writing anew what may be megabytes would hold up everybody."""
    try:
        with file.open("rb") as stream:
            data = stream.read(EVIDENCE_BYTES_MAX + 1)
    except OSError as error:
        raise Problem("not_found", "There is no such file.") from error
    if len(data) > EVIDENCE_BYTES_MAX:
        raise Problem("not_found", f"The file is larger than {EVIDENCE_BYTES_MAX} bytes.")
    return data


def _ms(seconds: float | None) -> float | None:
    return None if seconds is None or seconds == float("inf") else round(seconds * 1000, 3)
