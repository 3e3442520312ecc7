"""Columns of the tables that the compiled core is given, and what stands in them."""

from __future__ import annotations

PAD = 64
"""Neurons of a population are padded to a multiple of this; one bit for each in a 64-bit word."""
N, PADDED, AT, LIST, RING, LENS, RESET, MEMORY, BIASED, SHARED, IN, IN_END, GROUP, GROUP_END, OUT, OUT_END = range(16)
SLOT, BITS, UNIFORM, WRAPS = range(16, 20)
"""Columns of the table of populations."""
SOURCE, DELAY, KIND, WEIGHTS, STRIDE, SUMS, INDEX, RUNS, FAN, FAN_ALL, FROM_INPUT = range(11)
FRESH, LEAST, WINDOWS, WINDOW_ROWS = range(11, 15)
"""Columns of the table of connections."""
DENSE, ROWS, SINGLE = range(3)
"""Kinds of connections: one row of weights for each source; several short rows; single synapses."""
HEADER = 7
"""Numbers before the table of lines of a connection by short rows."""
LISTED, LOOKED_UP = range(2)
"""How windows find what spiked in them."""
CACHE_LINE, QUARTER = 64, 32
"""Bytes; a row of windows has a whole number of quarters of two lines, and rows begin where lines do."""
LANES, COPIED = 8, 16
"""Windows that are looked up side by side; spikes of a window that are taken from a list at once."""
BEYOND = 16
"""Numbers that may be read or written behind the end of a list of spikes."""
TILE = 1024
"""Neurons that go through a step together, so that what is known of them stays in the closest cache."""
ZERO, NONE, SUBTRACT, SUBTRACT_DELAYED, ZERO_DELAYED, SUBTRACT_GUARDED, SUBTRACT_SYNAPSE, NONE_RECTIFIED = range(8)
LIMIT = 2**23
