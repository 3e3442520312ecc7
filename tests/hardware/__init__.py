"""Tests of the package aspen_hardware, by room."""
