"""Engines that run a network: reference, fast, c, lava, loihi."""
