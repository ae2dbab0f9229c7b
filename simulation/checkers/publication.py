"""Publication: the `blocks` topic, from which followers and clients live, holds every final block with its proof."""

from collections.abc import Mapping

from consensus.wire.final_blocks import BlockReader, Proven
from ledger.committee import Committees
from simulation.checkers.checker import Checker, Subject, Violation
from simulation.parts.signatures import verify_memoised


class Publication(Checker):
    """Whatever was lost of the topic, who has the blocks writes them again; forged records stand for nothing."""

    def __init__(self, subject: Subject) -> None:
        super().__init__(subject)
        self._reader = BlockReader(subject.genesis, Committees.of(subject.genesis), verify_memoised)

    def on_quiet(self, appended: Mapping[int, int]) -> None:
        values = self.subject.log.values(self.subject.genesis.topic_name("blocks"), 0)
        found = [proven.block for proven in map(self._reader.read, values) if isinstance(proven, Proven)]
        published = {block.header_bytes for block in found}
        for final in self.subject.honest[0].store.finals:
            if final.header_bytes not in published:
                raise Violation(f"height {final.height} is final everywhere, and the topic of blocks lacks it")
