"""All adversaries by name."""

from typing import Final

from simulation.adversaries import Adversary
from simulation.adversaries.accomplice import Accomplice
from simulation.adversaries.attacher import Attacher
from simulation.adversaries.block_forger import BlockForger
from simulation.adversaries.bulky import Bulky
from simulation.adversaries.censor import Censor
from simulation.adversaries.deserter import Deserter
from simulation.adversaries.double_voter import DoubleVoter
from simulation.adversaries.equivocator import Equivocator
from simulation.adversaries.false_opener import FalseOpener
from simulation.adversaries.false_prover import FalseProver
from simulation.adversaries.far_future import FarFuture
from simulation.adversaries.flooder import Flooder
from simulation.adversaries.foreigner import Foreigner
from simulation.adversaries.forger import Duplicator, Forger, Impersonator
from simulation.adversaries.garbage import Garbage, GarbageBurst
from simulation.adversaries.late_equivocator import LateEquivocator
from simulation.adversaries.liar import EmptyBlocks, HeadsLiar, TimeLiar
from simulation.adversaries.malformed import Malformed, Overfull
from simulation.adversaries.nullify_and_finalize import NullifyAndFinalize
from simulation.adversaries.out_of_range import OutOfRange
from simulation.adversaries.outsider import Outsider
from simulation.adversaries.payload_withholder import PayloadWithholder
from simulation.adversaries.probe_provoker import ProbeProvoker
from simulation.adversaries.relabeller import Relabeller
from simulation.adversaries.replayer import Replayer
from simulation.adversaries.silent import Silent, SilentLeader
from simulation.adversaries.skipper import Orphan, Skipper, WrongReproposer
from simulation.adversaries.slow_leader import SlowLeader
from simulation.adversaries.state_liar import StateLiar
from simulation.adversaries.twins import Twins
from simulation.adversaries.withholder import OneSided, Withholder

ADVERSARIES: Final[dict[str, type[Adversary]]] = {
    "equivocator": Equivocator,
    "late-equivocator": LateEquivocator,
    "double-voter": DoubleVoter,
    "nullify-and-finalize": NullifyAndFinalize,
    "silent": Silent,
    "silent-leader": SilentLeader,
    "slow-leader": SlowLeader,
    "withholder": Withholder,
    "one-sided": OneSided,
    "payload-withholder": PayloadWithholder,
    "forger": Forger,
    "duplicator": Duplicator,
    "impersonator": Impersonator,
    "replayer": Replayer,
    "foreigner": Foreigner,
    "outsider": Outsider,
    "far-future": FarFuture,
    "garbage": Garbage,
    "skipper": Skipper,
    "orphan": Orphan,
    "wrong-reproposer": WrongReproposer,
    "heads-liar": HeadsLiar,
    "time-liar": TimeLiar,
    "empty-blocks": EmptyBlocks,
    "censor": Censor,
    "flooder": Flooder,
    "twins": Twins,
    "accomplice": Accomplice,
    "state-liar": StateLiar,
    "false-opener": FalseOpener,
    "malformed": Malformed,
    "overfull": Overfull,
    "relabeller": Relabeller,
    "block-forger": BlockForger,
    "probe-provoker": ProbeProvoker,
    "garbage-burst": GarbageBurst,
    "deserter": Deserter,
    "bulky": Bulky,
    "out-of-range": OutOfRange,
    "false-prover": FalseProver,
    "attacher": Attacher,
}
