"""Loops over a population's neurons in C: along all arrays with pointers, several neurons at a time."""

from __future__ import annotations

from dataclasses import dataclass

UNROLLED = (8, 4, 2, 1)
"""How many neurons are updated in one pass of the loop: the first that divides their number."""
MOST_LOADED = 5
"""So many numbers are read at once; registers are few."""
MANY = 16
"""Fewer neurons are updated one by one."""


@dataclass(frozen=True)
class Walked:
    """An array with a number for each neuron, along which an update goes.

    Args:
        name: of the pointer that goes along.
        ctype: what it points to.
        base: where it begins.
        value: what its number is called once it is read; empty where it is used in its place.
        is_used: whether it is used in its place, too.
    """

    name: str
    ctype: str
    base: str
    value: str = ""
    is_used: bool = True


@dataclass(frozen=True)
class Walk:
    """The loop that updates a population.

    Args:
        name: of the population in C.
        n: its neurons.
        walked: the arrays along which it goes.
        scalar: whether all have one threshold.
        on: C expression of how many are on, the first ones; None: all.
    """

    name: str
    n: int
    walked: tuple[Walked, ...]
    scalar: bool
    on: str | None

    def lines(self) -> list[str]:
        """Its text."""
        times = at_once(self.n)
        loaded = next(k for k in UNROLLED if (k <= times and k * len(self._loaded) <= MOST_LOADED) or k == 1)
        lines = [f"{each.ctype} *{each.name} = {each.base};" for each in self.walked]
        if self.on is None:
            return [*lines, f"for (uint32_t i = 0; i < {self.n}u; i += {times}u) {{", *self._pass(times, loaded)]
        first = self.walked[0]  # registers are few: the number of a neuron is made of its place where it is needed
        index = f"const uint32_t i = (uint32_t)({first.name} - {first.base});"
        for count, most in ((times, loaded), (1, 1))[: 1 + (times > 1)]:
            end = f"{self.on}{'' if count == 1 else f' & ~{count - 1}u'}"
            lines += [f"const {first.ctype} *end_{count} = &{first.base}[{end}];", f"HELD(end_{count});"]
            lines += [f"while ({first.name} != end_{count}) {{", f"    {index}", *self._pass(count, most)]
        return lines

    @property
    def _loaded(self) -> list[Walked]:
        """What is read first."""
        return [each for each in self.walked if each.value]

    def _pass(self, times: int, loaded: int) -> list[str]:
        """The body of the loop: so many neurons, of which ``loaded`` are read at once."""
        lines = []
        for k in range(times):
            lines += self._loads(k, loaded) if k % loaded == 0 else []
            arguments = [f"i + {k}u" if k else "i", *(["threshold"] if self.scalar else [])]
            arguments += [f"{each.value}_{k}" for each in self._loaded]
            arguments += [f"{each.name} + {k}" if k else each.name for each in self.walked if each.is_used]
            lines.append(f"step_{self.name}({', '.join(arguments)});")
        lines += [f"NEXT({each.name}, {times});" for each in self.walked]
        return [*(f"    {line}" for line in lines), "}"]

    def _loads(self, first: int, count: int) -> list[str]:
        """Reads what so many neurons need: loads next to each other take a cycle less."""
        places = [(each, k) for k in range(first, first + count) for each in self._loaded]
        lines = [f"int32_t {each.value}_{k} = {each.name}[{k}];" for each, k in places]
        outputs = ", ".join(f'"+r"({each.value}_{k})' for each, k in places)
        return [*lines, f"TOGETHER({outputs});"]


def at_once(n: int) -> int:
    """How many of ``n`` neurons are updated in one pass of the loop."""
    return next(k for k in UNROLLED if n % k == 0) if n >= MANY else 1
