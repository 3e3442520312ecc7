"""Thresholds of snnTorch neurons: moved at random in training, turned by the knob, learned as a dial."""
