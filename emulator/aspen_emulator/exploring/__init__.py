"""One page in which the knob can be turned: what is measured for it, as plain values, and the page itself."""
