"""Engines that run a network: reference, fast, lava, loihi."""
