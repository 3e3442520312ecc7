"""From a sensor's raw integers to the input of a program: encoders in fixed point, in Python and as C."""
