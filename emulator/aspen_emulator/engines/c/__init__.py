"""The engine ``c``: the program that :func:`aspen_hardware.to_c` writes, compiled for this machine, in a process."""
