"""A deployment as portable C for a microcontroller, with a knob that turns while it runs."""
