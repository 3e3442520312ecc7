"""A linked program: what goes into flash and RAM, where its functions are, and from which function each instruction is.

Functions are those of the source: the compiler may have put one's instructions into another.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from elftools.dwarf.compileunit import CompileUnit
from elftools.elf.elffile import ELFFile
from elftools.elf.sections import SymbolTableSection


@dataclass(frozen=True)
class Segment:
    """Bytes that are there when the program starts, and the room that they stand in."""

    address: int
    data: bytes
    size: int


class Image:
    """A program in an ELF file.

    Args:
        path: the file.

    Attributes:
        segments: what is loaded.
        sizes: section -> bytes, of ``.text``, ``.rodata``, ``.data`` and ``.bss``.
        symbols: name -> address, of functions and variables.
        code: stretches of addresses that hold instructions, and no constants.
    """

    def __init__(self, path: Path) -> None:
        with path.open("rb") as file:
            elf = ELFFile(file)
            self.segments = [
                Segment(each["p_vaddr"], each.data(), each["p_memsz"])
                for each in elf.iter_segments("PT_LOAD")
                if each["p_memsz"]
            ]
            sections = {each.name: each for each in elf.iter_sections()}
            names = (".text", ".rodata", ".data", ".bss")
            self.sizes = {name: sections[name]["sh_size"] if name in sections else 0 for name in names}
            text, table = sections[".text"], sections[".symtab"]
            self._start, self._data = text["sh_addr"], text.data()
            assert isinstance(table, SymbolTableSection)  # as its name says
            self._read_symbols(table, text["sh_addr"] + text["sh_size"])
            self._lines = sorted(_lines(elf))

    def _read_symbols(self, table: SymbolTableSection, end: int) -> None:
        kinds = {"STT_FUNC", "STT_OBJECT"}
        symbols = list(table.iter_symbols())
        named = [each for each in symbols if each["st_info"]["type"] in kinds]
        self.symbols = {each.name: each["st_value"] & ~1 for each in named}
        called = [each for each in named if each["st_info"]["type"] == "STT_FUNC"]
        self._functions = sorted((each["st_value"] & ~1, each.name) for each in called)
        marks = sorted((each["st_value"], each.name) for each in symbols if each.name in ("$t", "$d"))
        inside = [mark for mark in marks if self._start <= mark[0] < end]
        ends = [address for address, _ in inside[1:]] + [end]
        self.code = [(a, e) for (a, kind), e in zip(inside, ends, strict=True) if kind == "$t" and e > a]

    def bytes_at(self, start: int, end: int) -> bytes:
        """What lies in ``.text`` from an address to another."""
        return self._data[start - self._start : end - self._start]

    @property
    def flash(self) -> int:
        """Bytes of code, constants, and what variables begin with."""
        return self.sizes[".text"] + self.sizes[".rodata"] + self.sizes[".data"]

    @property
    def ram(self) -> int:
        """Bytes of variables; the stack comes on top."""
        return self.sizes[".data"] + self.sizes[".bss"]

    @cached_property
    def _starts(self) -> tuple[list[int], list[int]]:
        return [address for address, _ in self._functions], [address for address, *_ in self._lines]

    def function_at(self, address: int) -> str:
        """The function of the source that the instruction at an address is from."""
        if not any(start <= address < end for start, end in self.code):
            return "no function"
        functions, lines = self._starts
        place = bisect_right(lines, address) - 1
        if place >= 0 and self._lines[place][1]:
            return self._lines[place][1]
        place = bisect_right(functions, address) - 1
        return self._functions[place][1].rpartition(".")[2] if place >= 0 else "no function"


def _lines(elf: ELFFile) -> Iterator[tuple[int, str]]:
    """Where instructions of a function begin, and the function; no name where the next ones are of none."""
    if not elf.has_dwarf_info():
        return
    dwarf = elf.get_dwarf_info()
    for unit in dwarf.iter_CUs():
        program = dwarf.line_program_for_CU(unit)
        if program is None or not unit.get_top_DIE().attributes["DW_AT_name"].value.endswith(b".c"):
            continue  # what is linked to the program goes by its symbols
        functions = sorted(_functions(unit))
        begun = [(file, line) for file, line, _ in functions]
        for entry in program.get_entries():
            if entry.state is not None:
                at = bisect_right(begun, (entry.state.file, entry.state.line)) - 1
                known = not entry.state.end_sequence and at >= 0 and begun[at][0] == entry.state.file
                yield entry.state.address, functions[at][2] if known else ""


def _functions(unit: CompileUnit) -> Iterator[tuple[int, int, str]]:
    """File, line and name of the functions of a source."""
    for entry in unit.iter_DIEs():
        attributes = entry.attributes
        if entry.tag == "DW_TAG_subprogram" and {"DW_AT_name", "DW_AT_decl_line", "DW_AT_decl_file"} <= set(attributes):
            name = attributes["DW_AT_name"].value.decode()
            yield attributes["DW_AT_decl_file"].value, attributes["DW_AT_decl_line"].value, name
