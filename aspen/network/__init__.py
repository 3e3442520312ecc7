"""What a network is: populations, neurons, connections, and the record of a run. Without torch."""

from aspen.network.connection import MAX_DELAY as MAX_DELAY
from aspen.network.connection import Connection as Connection
from aspen.network.connections import CONNECTION_KINDS as CONNECTION_KINDS
from aspen.network.connections import Conv as Conv
from aspen.network.connections import Dense as Dense
from aspen.network.connections import Sparse as Sparse
from aspen.network.files import load_network as load_network
from aspen.network.files import save_network as save_network
from aspen.network.graded import GradedInput as GradedInput
from aspen.network.host import HostLayer as HostLayer
from aspen.network.network import READOUTS as READOUTS
from aspen.network.network import Network as Network
from aspen.network.network import Population as Population
from aspen.network.neurons import RESETS as RESETS
from aspen.network.neurons import FixedLif as FixedLif
from aspen.network.neurons import Lif as Lif
from aspen.network.readout import NO_ANSWER as NO_ANSWER
from aspen.network.readout import answers as answers
from aspen.network.record import RECORDS as RECORDS
from aspen.network.record import Record as Record
