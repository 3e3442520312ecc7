"""Print the table of docs/energy.md as it is computed."""

from tests.published import SOURCES, cases, table

print("\n".join([*table(cases()), "", *(f"- {key}: {text}" for key, text in SOURCES.items())]))
