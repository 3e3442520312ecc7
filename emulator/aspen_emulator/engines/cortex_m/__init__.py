"""The engine ``cortex-m``: the program that :func:`aspen_hardware.to_c` writes, cross-compiled and emulated."""
