"""Kinds of small mistakes: those chosen from cosmic-ray, a dropped term and an ignored option."""

from __future__ import annotations

from typing import Any, TypeAlias

from cosmic_ray.operators.operator import Example, Operator

Node: TypeAlias = Any  # parso has no types
Span = tuple[tuple[int, int], tuple[int, int]]

COMPARISONS = (
    "Lt_LtE", "Lt_Gt", "LtE_Lt", "LtE_GtE", "Gt_GtE", "Gt_Lt", "GtE_Gt", "GtE_LtE", "Eq_NotEq", "NotEq_Eq",
    "Is_IsNot", "IsNot_Is",
)  # fmt: skip
ARITHMETIC = (
    "Add_Sub", "Sub_Add", "Mul_Div", "Div_Mul", "FloorDiv_Mul", "Mod_Mul", "Pow_Mul", "RShift_LShift", "LShift_RShift",
    "BitAnd_BitXor", "BitXor_BitAnd",
)  # fmt: skip
CHOSEN = (
    *(f"ReplaceComparisonOperator_{name}" for name in COMPARISONS),
    *(f"ReplaceBinaryOperator_{name}" for name in ARITHMETIC),
    *(f"ReplaceUnaryOperator_Delete_{name}" for name in ("USub", "Not", "Invert")),
    *("AddNot", "ReplaceTrueWithFalse", "ReplaceFalseWithTrue", "ReplaceAndWithOr", "ReplaceOrWithAnd"),
    *("ReplaceBreakWithContinue", "ReplaceContinueWithBreak", "NumberReplacer", "ZeroIterationForLoop"),
)
"""Names of cosmic-ray's operators. Left out is what any test notices, what type annotations are made of (``|``), and
what never means anything else (``is`` for ``==``)."""

MESSAGES_AND_DECORATORS = ("raise_stmt", "fstring", "decorator", "assert_stmt")
STARS = ("argument", "dictorsetmaker", "parameters", "param", "star_expr", "testlist_star_expr")
"""Where ``*`` and ``**`` do not multiply."""


def is_code(node: Node) -> bool:
    """Whether mistakes in a node would change what is computed, not what a message says or mypy reads."""
    if node.search_ancestor(*MESSAGES_AND_DECORATORS) is not None:
        return False
    option = node if node.type == "argument" else node.search_ancestor("argument")
    if option is not None and option.children[0].get_code().strip() == "strict":  # as an assertion: never seen to fail
        return False
    if node.type == "operator" and node.parent.type in STARS:
        return False
    outer = node if node.type == "if_stmt" else node.search_ancestor("if_stmt")
    while outer is not None and outer.children[1].get_code().strip() != "TYPE_CHECKING":
        outer = outer.search_ancestor("if_stmt")
    return outer is None


class DropTerm(Operator):
    """``a + b`` becomes ``a``, or ``b``; the same with products."""

    def mutation_positions(self, node: Node) -> list[Span]:
        """One for each operand that may go."""
        return [(node.children[a].start_pos, node.children[b].end_pos) for a, b in self._parts(node)]

    def mutate(self, node: Node, index: int) -> Node:
        """Without one operand and its operator."""
        first, last = self._parts(node)[index]
        prefix = node.get_first_leaf().prefix
        del node.children[first : last + 1]
        node.get_first_leaf().prefix = prefix
        return node

    @staticmethod
    def _parts(node: Node) -> list[tuple[int, int]]:
        """First and last child of what may go: the first operand, where the rest can stand alone; all others."""
        if node.type not in ("arith_expr", "term"):
            return []
        others = [(i, i + 1) for i in range(1, len(node.children), 2)]
        return [(0, 1), *others] if node.children[1].value in "+*" else others

    @classmethod
    def examples(cls) -> tuple[Example, ...]:
        """As cosmic-ray asks for."""
        return (Example("x = a + b", "x = b"), Example("x = a + b - c", "x = a - c", occurrence=1))


class DropOption(Operator):
    """``f(a, option=b)`` becomes ``f(a)``."""

    def mutation_positions(self, node: Node) -> list[Span]:
        """One for each keyword argument of a call."""
        return [(node.children[i].start_pos, node.children[i].end_pos) for i in self._options(node)]

    def mutate(self, node: Node, index: int) -> Node:
        """Without that argument and the comma after it."""
        place = self._options(node)[index]
        del node.children[place : place + (2 if node.type == "arglist" else 1)]
        return node

    @staticmethod
    def _options(node: Node) -> list[int]:
        call = node.type == "trailer" and node.children[0].value == "("
        if not call and not (node.type == "arglist" and node.parent.type == "trailer"):
            return []
        named = [(i, c.children) for i, c in enumerate(node.children) if c.type == "argument"]
        return [i for i, (name, sign, *_) in named if sign == "=" and name.value != "strict"]

    @classmethod
    def examples(cls) -> tuple[Example, ...]:
        """As cosmic-ray asks for."""
        return (Example("f(a, b=c)", "f(a,)"), Example("f(b=c)", "f()"))


OWN = (DropTerm, DropOption)
