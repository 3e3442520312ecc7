"""Sweeps of the knob, early ends, parity of engines, pictures."""
