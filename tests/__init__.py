"""Tests, in folders like the code; what several rooms use is here.

Tools: ``python -m tests.fuzz``, ``tests.kills``, ``tests.mutants``, ``tests.published``.
"""

from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
"""Of the repository."""
