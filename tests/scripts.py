"""Scenario scripts: commands, ``----``, the trace they must leave; again and again, with blank lines between.

    powers P P P P               a new committee of these powers; without it: four of power 1. Only as the first command
    produce PARTITION RECORDS    records arrive in the log
    pass MS                      time passes
    crash V, start V             a process dies, a process boots (a halt is part of the trace)
    pause V, resume V            a process is paused and misses nothing
    deaf V TO, hear V TO         V never gets what TO sends meanwhile (scatter, gather: nobody gets anything of others)
    lose KIND, keep KIND         votes of a kind reach nobody but their voter meanwhile
    blind V, see V               V does not read the records of the log meanwhile
    lag V RECORDS                V's executor is so far behind
    equivocate V                 the twin of V's last proposal appears in its topic
    foreign V KIND VIEW          a vote under V's key appears that V did not make
    keep-journal V, roll-back V  remember V's journal file; put the remembered one back
    torn-write V BYTES           V's machine died when so many bytes of a batch were written
    damage-journal V AT, lose-journal V
    heights, written             say where everybody is; how many records were written since the last time

``python -m tests.scripts rewrite`` writes what happens now into all scripts; read the difference before you keep it.
"""

import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Final

from consensus.runtime.errors import ValidatorHalt
from consensus.wire.messages import NO_DIGEST, Kind, Proposal, Vote
from ledger.committee import FIRST_EPOCH
from tests.committee import Committee

FOLDER: Final = Path(__file__).parent / "scenarios" / "scripts"
RULE: Final = "----"


class Stage:
    """A committee that takes commands."""

    def __init__(self) -> None:
        self._kept: dict[int, bytes] = {}
        self.do_powers(1, 1, 1, 1)

    def run(self, commands: list[str]) -> str:
        """Carry out commands; the trace that they leave."""
        for command in commands:
            name, *words = command.split()
            method: Callable[..., None] = getattr(self, "do_" + name.replace("-", "_"))
            method(*(int(word.removeprefix("v")) if word[-1].isdigit() else word for word in words))
        return self.committee.story()

    def do_powers(self, *powers: int) -> None:
        self.committee = Committee(len(powers), powers=powers, checkpoint_heights=1_000, checkpoint_time_ms=60_000)
        self._written = self.committee.records_written()

    def do_produce(self, partition: int, records: int) -> None:
        self.committee.produce(partition, records)

    def do_pass(self, duration_ms: int) -> None:
        self.committee.pass_ms(duration_ms)

    def do_crash(self, index: int) -> None:
        self.committee.crash(index)

    def do_start(self, index: int) -> None:
        try:
            self.committee.start(index)
        except ValidatorHalt as halt:
            self.committee.trace.append(f"v{index} halts: {type(halt).__name__}")

    def do_pause(self, index: int) -> None:
        self.committee.members[index].is_paused = True

    def do_resume(self, index: int) -> None:
        self.committee.members[index].is_paused = False

    def do_deaf(self, index: int, to: int) -> None:
        self.committee.members[index].deaf_to.add(to)

    def do_hear(self, index: int, to: int) -> None:
        self.committee.members[index].deaf_to.discard(to)

    def do_scatter(self) -> None:
        for member in self.committee.members:
            member.deaf_to = set(range(len(self.committee.members) + 1)) - {member.index}

    def do_gather(self) -> None:
        for member in self.committee.members:
            member.deaf_to = set()

    def do_lose(self, kind: str) -> None:
        self.committee.lost.add(Kind[kind.upper()])

    def do_keep(self, kind: str) -> None:
        self.committee.lost.discard(Kind[kind.upper()])

    def do_blind(self, index: int) -> None:
        self.committee.members[index].reads_records = False

    def do_see(self, index: int) -> None:
        self.committee.members[index].reads_records = True

    def do_lag(self, index: int, records: int) -> None:
        self.committee.members[index].lag = records

    def do_equivocate(self, index: int) -> None:
        committee = self.committee
        messages = [committee.wire.decode(value) for value in list(committee.topics.values())[index]]
        proposal = [message for message in messages if isinstance(message, Proposal)][-1]
        header = proposal.block.header
        twin = replace(proposal, block=committee.wire.block(replace(header, time_ms=header.time_ms + 1)))
        committee.name(proposal.block.digest)
        committee.trace.append(f"v{index} proposes {committee.name(twin.block.digest)} in view {twin.view} as well")
        committee.inject(index, committee.signed(twin, index))

    def do_foreign(self, index: int, kind: str, view: int) -> None:
        vote = Vote(Kind[kind.upper()], FIRST_EPOCH, view, NO_DIGEST, index)
        self.committee.inject(index, self.committee.signed(vote, index))

    def do_keep_journal(self, index: int) -> None:
        self._kept[index] = self.committee.members[index].file.data or b""

    def do_roll_back(self, index: int) -> None:
        self.committee.members[index].file.data = self._kept[index]

    def do_torn_write(self, index: int, size_bytes: int) -> None:
        file = self.committee.members[index].file
        data = file.data or b""
        file.data = data + data[:size_bytes]

    def do_damage_journal(self, index: int, at: int) -> None:
        file = self.committee.members[index].file
        data = bytearray(file.data or b"")
        data[at] ^= 1
        file.data = bytes(data)

    def do_lose_journal(self, index: int) -> None:
        self.committee.members[index].file.data = None

    def do_heights(self) -> None:
        self.committee.trace.append(f"heights {self.committee.heights()}, views {self.committee.views()}")

    def do_written(self) -> None:
        before, self._written = self._written, self.committee.records_written()
        self.committee.trace.append(f"{self._written - before} records written")


def play(text: str) -> str:
    """The script as it should read: the same commands, each with the trace that it leaves now."""
    title, _, body = text.partition("\n\n")
    stage = Stage()
    scenes = []
    for scene in body.strip().split("\n\n"):
        commands = scene.split("\n" + RULE)[0].splitlines()
        scenes.append("\n".join((*commands, RULE, stage.run(commands))).rstrip())
    return "\n\n".join((title.rstrip(), *scenes)) + "\n"


def rewrite() -> None:
    """Write what happens now into all scripts."""
    for path in sorted(FOLDER.glob("*.txt")):
        path.write_text(play(path.read_text()))


if __name__ == "__main__":
    if sys.argv[1:] != ["rewrite"]:
        sys.exit(__doc__)
    rewrite()
