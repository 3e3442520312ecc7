"""What the package offers: read by type checkers, and by its ``__init__`` when a name is used."""

from .c.export import to_c as to_c
from .c.sensing.fixing import sensor_encoder as sensor_encoder
from .c.sensing.sensor import Sensor as Sensor
from .chips.description import Chip as Chip
from .chips.description import chip as chip
from .chips.description import chip_names as chip_names
from .compiling.compile import compile as compile
from .compiling.deployment import Deployment as Deployment
from .compiling.deployment import deployment_on as deployment_on
from .compiling.deployment import load_deployment as load_deployment
from .compiling.deployment import store_deployment as store_deployment
from .compiling.models import ModelReport as ModelReport
from .compiling.models import check_model as check_model
from .energy.baseline import ann_baseline as ann_baseline
from .energy.break_even import break_even as break_even
from .energy.costs import energy_of_counts as energy_of_counts
from .energy.model import energy_model as energy_model
from .energy.report import EnergyReport as EnergyReport
from .placing.placement import place as place
from .placing.rules import check as check
