"""What every room stands on: arrays, checks of values, names, packages, progress, compiled code."""
