"""Markdown tables, and files that show them."""

from collections.abc import Sequence
from pathlib import Path

from ae.runtime.files import write_text

Row = dict[str, str]  # by column


def columns(rows: Sequence[Row], order: Sequence[str]) -> str:
    """A Markdown table with those of the columns that any row has."""
    head = [column for column in order if any(row.get(column) for row in rows)]
    return markdown([head, *([row.get(column, "") for column in head] for row in rows)])


def markdown(rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table; the first row is its head."""
    head, *body = rows
    return "".join(f"| {' | '.join(row)} |\n" for row in (head, ["---"] * len(head), *body))


def fill_pages(source: Path, tables: str) -> None:
    """Put tables into the pages that show them: README.md and docs/*.md of the working folder."""
    for page in (*Path().glob("README.md"), *Path("docs").glob("*.md")):
        if (filled := fill(page.read_text(), source, tables)) != page.read_text():
            write_text(page, filled)


def fill(text: str, source: Path, tables: str) -> str:
    """Puts tables between `<!-- table: SOURCE -->` and `<!-- end -->`, where a text has them."""
    start, end = f"<!-- table: {source.as_posix()} -->\n", "<!-- end -->"
    before, marker, rest = text.partition(start)
    return before + marker + tables + end + rest.partition(end)[2] if marker else text
