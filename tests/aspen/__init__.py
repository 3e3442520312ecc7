"""Tests of the package aspen, by room."""
