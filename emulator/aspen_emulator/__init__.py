"""Run spiking networks."""
