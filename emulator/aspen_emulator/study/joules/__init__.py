"""The study in joules: one nested dial against networks that each have one energy by the same levers."""
