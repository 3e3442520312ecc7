"""The examples in docstrings give what they say."""

from __future__ import annotations

import doctest
from importlib import import_module

import pytest

from tests.test_house import MODULES

SHOWN = [module for module, file in MODULES.items() if ">>> " in file.read_text("utf-8")]


@pytest.mark.parametrize("module", SHOWN)
def test_examples_in_docstrings_give_what_they_say(module: str) -> None:
    assert doctest.testmod(import_module(module)).failed == 0
