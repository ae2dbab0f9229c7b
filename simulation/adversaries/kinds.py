"""All adversaries by name."""

from typing import Final

from simulation.adversaries import Adversary
from simulation.adversaries.double_voter import DoubleVoter
from simulation.adversaries.equivocator import Equivocator
from simulation.adversaries.flooder import Flooder
from simulation.adversaries.forger import Duplicator, Forger, Impersonator
from simulation.adversaries.garbage import Garbage
from simulation.adversaries.liar import EmptyBlocks, HeadsLiar, TimeLiar
from simulation.adversaries.replayer import Replayer
from simulation.adversaries.silent import Silent, SilentLeader
from simulation.adversaries.skipper import Orphan, Skipper, WrongReproposer
from simulation.adversaries.withholder import OneSided, Withholder

ADVERSARIES: Final[dict[str, type[Adversary]]] = {
    "equivocator": Equivocator,
    "double-voter": DoubleVoter,
    "silent": Silent,
    "silent-leader": SilentLeader,
    "withholder": Withholder,
    "one-sided": OneSided,
    "forger": Forger,
    "duplicator": Duplicator,
    "impersonator": Impersonator,
    "replayer": Replayer,
    "garbage": Garbage,
    "skipper": Skipper,
    "orphan": Orphan,
    "wrong-reproposer": WrongReproposer,
    "heads-liar": HeadsLiar,
    "time-liar": TimeLiar,
    "empty-blocks": EmptyBlocks,
    "flooder": Flooder,
}
