"""Rows of figures as a table on the terminal."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

Row = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Column:
    title: str
    width: int
    cell: Callable[[Row], str]
    """From a record to what it shows; see `figure`."""


def header(columns: Sequence[Column]) -> str:
    return "".join(column.title.rjust(column.width) for column in columns)


def line(columns: Sequence[Column], row: Row) -> str:
    """A cell that is wider than its column is kept apart from the one before."""
    return "".join(f" {column.cell(row)}".rjust(column.width) for column in columns)


def figure(name: str, part: str | None = None, digits: int = 1) -> Callable[[Row], str]:
    """A number of the record, or ``part`` of a summary in it; "-" where there is none."""

    def cell(row: Row) -> str:
        value = row.get(name)
        if part is not None and value is not None:
            value = value.get(part)
        return "-" if value is None else f"{value:.{digits}f}"

    return cell
