"""What the package offers: read by type checkers, and by its ``__init__`` when a name is used."""

from .engines.run import add_engine as add_engine
from .engines.run import run as run
from .engines.sessions import Session as Session
from .engines.sessions import session as session
from .measuring.bench import OperatingPoint as OperatingPoint
from .measuring.bench import sweep as sweep
from .measuring.cycle_report import CycleReport as CycleReport
from .measuring.cycles import cycles as cycles
from .measuring.observing import observe as observe
from .measuring.parity import ParityReport as ParityReport
from .measuring.parity import parity as parity
from .measuring.profile import Profile as Profile
from .measuring.profiling import EnergyLog as EnergyLog
from .measuring.profiling import profile as profile
from .measuring.tables import calibrate as calibrate
from .streaming.opening import stream as stream
