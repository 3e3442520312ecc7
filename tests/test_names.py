"""Names that are nearly right."""

from __future__ import annotations

import pytest

from aspen._names import close_names, did_you_mean, unknown_name


@pytest.mark.parametrize(
    ("found", "allowed", "close"),
    [
        ("swep", ["run", "sweep", "stream"], ["sweep"]),
        ("pertubed", ["plain", "perturbed"], ["perturbed"]),
        ("LOIHI1", ["loihi1", "loihi2"], ["loihi1"]),
        ("loihi", ["loihi1", "loihi2", "odin"], ["loihi1", "loihi2"]),
        ("xyz", ["run", "sweep"], []),
        ("", ["run", "sweep"], []),
        ("run", [], []),
        (3, ["run"], []),
        (None, ["none"], []),
    ],
)
def test_only_the_closest_names_are_offered(found, allowed, close):
    assert close_names(found, allowed) == close


def test_the_remedy_names_what_was_meant_or_says_what_else_to_do():
    assert did_you_mean("digist", iter(["digits", "har"])) == "did you mean 'digits'?"
    assert did_you_mean("zzz", ["digits"]) == "choose one of these"
    assert did_you_mean("zzz", ["digits"], "give a path") == "give a path"


def test_the_whole_message():
    names = (name for name in ("loihi1", "loihi2"))
    wanted = "chip: found 'loihi', allowed are loihi1, loihi2; did you mean 'loihi1' or 'loihi2'?"
    assert unknown_name("chip", "loihi", names) == wanted
