"""Columns of the tables that the compiled core is given, and what stands in them."""

from __future__ import annotations

PAD = 64
"""Neurons of a population are padded to a multiple of this; one bit for each in a 64-bit word."""
N, PADDED, AT, LIST, RING, LENS, RESET, MEMORY, BIASED, SHARED, IN, IN_END, GROUP, GROUP_END, OUT, OUT_END = range(16)
"""Columns of the table of populations."""
SOURCE, DELAY, KIND, WEIGHTS, STRIDE, SUMS, INDEX, RUNS, FAN, FAN_ALL, FROM_INPUT = range(11)
"""Columns of the table of connections."""
DENSE, ROWS, SINGLE = range(3)
"""Kinds of connections: one row of weights for each source; several short rows; single synapses."""
HEADER = 7
"""Numbers before the table of lines of a connection by short rows."""
ZERO, NONE, SUBTRACT, SUBTRACT_DELAYED, ZERO_DELAYED, SUBTRACT_GUARDED, SUBTRACT_SYNAPSE, NONE_RECTIFIED = range(8)
LIMIT = 2**23
