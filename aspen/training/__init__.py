"""Training: the loop, its recipes, losses, checkpoints and measurements."""
