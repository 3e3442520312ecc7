"""Tests of the package aspen_emulator, by room."""
