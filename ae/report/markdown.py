"""Tables as JSON values and as Markdown, and pages that show them."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypedDict

from ae.runtime.files import write_text

Cell = str | float | Sequence[float] | None  # a text, a number, a mean with its standard deviation, or nothing
Row = Mapping[str, Cell]  # by column


class Table(TypedDict):
    """A table as JSON values: each row has a cell for each column, `digits` the decimals of the numbers in a column."""

    title: str
    columns: list[str]
    rows: list[list[Cell]]
    digits: list[int | None]


def tabulate(title: str, digits: Mapping[str, int | None], rows: Iterable[Row]) -> Table:
    """Return a table of rows by column.

    `digits`: for each column, in order, the decimals of its numbers; None for texts, counts and settings, which are shown
    as they are.
    """
    cells = [[row.get(column) for column in digits] for row in rows]
    return {"title": title, "columns": list(digits), "rows": cells, "digits": list(digits.values())}


def rows_of(table: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the rows of a table, by column."""
    return [dict(zip(table["columns"], row, strict=True)) for row in table["rows"]]


def to_markdown(table: Mapping[str, Any]) -> str:
    """Return a table as Markdown, its title above it.

    Columns without any cell are left out. A first cell that is the same as the one above it is left blank.
    """
    texts = [[_text(*cell) for cell in zip(row, table["digits"], strict=True)] for row in table["rows"]]
    shown = [i for i in range(len(table["columns"])) if any(row[i] for row in texts)]
    above = None
    lines = [[table["columns"][i] for i in shown], ["---"] * len(shown)]
    for first, *others in ([row[i] for i in shown] for row in texts):
        lines.append(["" if first == above else first, *others])
        above = first
    title = f"{table['title']}\n\n" if table["title"] else ""
    return title + "".join(f"| {' | '.join(line)} |\n" for line in lines)


def _text(cell: Cell, digits: int | None) -> str:
    if cell is None:
        return ""
    if isinstance(cell, str):
        return cell.replace("|", "\\|")
    if isinstance(cell, int | float):
        return f"{cell:.{digits}f}" if digits is not None else f"{cell:,}" if isinstance(cell, int) else f"{cell:g}"
    mean, deviation = cell
    return f"{mean:.{digits}f} ± {deviation:.1g}"


def fill_pages(source: Path, tables: str) -> None:
    """Put tables into the pages that show them: README.md and docs/*.md of the working folder."""
    for page in (*Path().glob("README.md"), *Path("docs").glob("*.md")):
        if (filled := fill(page.read_text(), source, tables)) != page.read_text():
            write_text(page, filled)


def fill(text: str, source: Path, tables: str) -> str:
    """Return a text with tables between `<!-- table: SOURCE -->` and `<!-- end -->`, where it has these marks."""
    start, end = f"<!-- table: {source.as_posix()} -->\n", "<!-- end -->"
    before, marker, rest = text.partition(start)
    return before + marker + tables + end + rest.partition(end)[2] if marker else text
