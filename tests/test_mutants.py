"""The tool that makes small mistakes: each kind does what it says, where there is code; samples can be repeated."""

from __future__ import annotations

import ast

import pytest

pytest.importorskip("cosmic_ray")

from cosmic_ray.ast import ast_nodes, get_ast
from cosmic_ray.mutating import mutate_code

from tests.mutant_operators import OWN, is_code
from tests.mutants import ROOT, TESTS, files_of, modules, mutants, operators, sample


@pytest.mark.parametrize("kind", OWN)
def test_our_own_kinds_do_what_their_examples_say(kind: type) -> None:
    for example in kind.examples():  # type: ignore[attr-defined]
        assert mutate_code(example.pre_mutation_code, kind(), example.occurrence) == example.post_mutation_code


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("a = b - c * d", ["a = b", "a = b - c", "a = b - d"]),
        ("a = (b +\n c)", ["a = (b)", "a = (c)"]),
        ("f(x, *y, k=1, **z)", ["f(x, *y, **z)"]),
        ("zip(x, y, strict=True)", []),
        ("@d(k=1)\ndef f(k=2): pass", []),
        ("raise E(f'{a + b}', k=c + d)", []),
        ("if TYPE_CHECKING:\n    x = a + b", []),
        ("g = {**a, 'k': f'{b + c:.2f}'}", []),
    ],
)
def test_terms_and_options_go_one_at_a_time_where_there_is_code(code: str, expected: list[str]) -> None:
    nodes, made = list(ast_nodes(get_ast(code))), []
    for kind in OWN:
        places = [node for node in nodes for _ in kind().mutation_positions(node)]
        made += [mutate_code(code, kind(), i) for i, node in enumerate(places) if is_code(node)]
    assert sorted(map(str, made)) == sorted(expected)


def test_every_mutant_is_python_and_differs_from_the_source() -> None:
    path = "aspen/dial/scale.py"
    source = (ROOT / path).read_text()
    found = mutants(path)
    assert {m.operator for m in found} > {"DropOption", "NumberReplacer", "AddNot"}
    assert set(operators()) > {m.operator for m in found}
    for mutant in found:
        code = mutant.code(source)
        assert ast.dump(ast.parse(code)) != ast.dump(ast.parse(source)), mutant
        assert mutant.shown(source).startswith(f"{path}:{mutant.line} {mutant.operator}\n")


def test_a_sample_is_the_same_for_the_same_seed() -> None:
    path = "aspen/dial/scale.py"
    one, two, other = sample(path, 10, 0), sample(path, 10, 0), sample(path, 10, 1)
    assert one == two != other
    assert len(set(one)) == 10
    assert set(one) < set(mutants(path)) == set(sample(path, None, 0))


def test_modules_and_their_tests_are_there() -> None:
    assert [path for path in modules(["aspen/control/"]) if path == "aspen/control/ledger.py"]
    assert len(list(modules([]))) > 30
    for place in TESTS:
        assert (ROOT / place).exists(), place
    assert all((ROOT / test).is_file() for path in modules([]) for test in files_of(path))
