"""What each knob costs and gives, and the choice of one. Without torch."""

from aspen.calibration.choosing import Choice as Choice
from aspen.calibration.choosing import Chooser as Chooser
from aspen.calibration.early import EarlyStop as EarlyStop
from aspen.calibration.early import calibrate_early as calibrate_early
from aspen.calibration.front import Lever as Lever
from aspen.calibration.front import Tried as Tried
from aspen.calibration.front import find_front as find_front
from aspen.calibration.front import front_of as front_of
from aspen.calibration.front import levers_of as levers_of
from aspen.calibration.points import EarlyPoint as EarlyPoint
from aspen.calibration.points import OperatingPoint as OperatingPoint
from aspen.calibration.points import pareto_front as pareto_front
from aspen.calibration.points import thin as thin
from aspen.calibration.statistics import wilson as wilson
from aspen.calibration.storage import CALIBRATION as CALIBRATION
from aspen.calibration.storage import find_table as find_table
from aspen.calibration.storage import list_tables as list_tables
from aspen.calibration.storage import load_table as load_table
from aspen.calibration.storage import save_table as save_table
from aspen.calibration.table import CalibrationTable as CalibrationTable
