"""What a run costs: counts, prices, time, reports, and the int8 ANN beside it."""
