"""Attack by check: how much of the gap between reference and original comes back, and what became of the requirement."""

from __future__ import annotations

import textwrap
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from auditkit.reporting import _probing
from auditkit.reporting._numbers import NOT_MEASURED, signed, unbroken
from auditkit.reporting.figures._parts import WIDTH, Figure, Key, Panel, Specification, Table, layer, named_rows
from auditkit.reporting.figures._svg import HEAT, INK, MUTED, drawn
from auditkit.text import one_line

if TYPE_CHECKING:
    from auditkit.evidence.results import RequirementDoc

_STEPS = ((0.1, "less than 0.10"), (0.25, "0.10 to 0.25"), (0.5, "0.25 to 0.50"), (0.75, "0.50 to 0.75"))
_MOST = "0.75 and more"
_LABELS = (*(label for _, label in _STEPS), _MOST)
_LETTERS, _LINES = 26, 2
"""Of a row's label: letters in a line; lines for the attack, and as many for its settings."""
_HEAD_LETTERS, _HEAD_LINES = 15, 3
_COLUMN_PIXELS = 104
_FEWEST = 3
"""Columns that share the width where there are not even so many."""
_MOST_ROWS = 10
"""More than fit on a sheet of paper are spread over several drawings."""
_ROW_PIXELS, _LINE_PIXELS = 48, 17


@dataclass(frozen=True)
class _Cell:
    """One requirement in the map."""

    row: str
    column: str
    number: str
    doc: RequirementDoc

    @property
    def step(self) -> str:
        """Which colour; '' where recovery is undefined."""
        recovery = None if self.doc.recovery is None else self.doc.recovery.value
        return "" if recovery is None else next((label for end, label in _STEPS if recovery < end), _MOST)


def heat_figure(docs: Sequence[RequirementDoc]) -> Figure | None:
    """Rows are attacks with what was tried, columns are checks; None where nothing probed the model."""
    if not docs:
        return None
    heads = _heads(docs)
    cells = list(_cells(docs, heads))
    rows, columns = list(dict.fromkeys(cell.row for cell in cells)), list(dict.fromkeys(cell.column for cell in cells))
    _, width = named_rows([line for label in rows for line in label.split("\n")])
    most = max(1, (WIDTH - width) // _COLUMN_PIXELS)
    each = (WIDTH - width) // min(most, max(len(columns), _FEWEST))
    title = "What came back, attack by check"
    panels = []
    for across in _parts(columns, most):
        for down in _parts(rows, _MOST_ROWS):
            inside = [cell for cell in cells if cell.column in across and cell.row in down]
            if inside:
                panels.append(Panel(_named(inside), _described(inside), drawn(_chart(inside, across, width, each))))
    return Figure("heat", title, _caption(cells), tuple(panels), _table(title, docs, heads), _legend(cells))


def _parts(labels: Sequence[str], most: int) -> Iterator[Sequence[str]]:
    return (labels[start : start + most] for start in range(0, len(labels), most))


def _named(cells: Sequence[_Cell]) -> str:
    """Of a panel, where there are several."""
    first, last = (cell.row.partition("\n")[0] for cell in (cells[0], cells[-1]))
    return first if first == last else f"{first} to {last}"


def _heads(docs: Sequence[RequirementDoc]) -> Mapping[str, str]:
    """The column of each requirement, by slug: the check; with the corpus and the model where these differ."""
    corpora, models = {doc.corpus for doc in docs}, {doc.of for doc in docs}
    return {
        doc.slug: ", ".join(
            filter(None, (doc.title, doc.corpus if len(corpora) > 1 else "", doc.of if len(models) > 1 else ""))
        )
        for doc in docs
    }


def _cells(docs: Sequence[RequirementDoc], heads: Mapping[str, str]) -> Iterator[_Cell]:
    """Equal attacks share a row, and nothing else does: labels that are cut alike are told apart."""
    rows: dict[tuple[str, int], str] = {}
    columns: dict[str, str] = {}
    seen: Counter[tuple[str, str]] = Counter()
    for doc in docs:
        head, attack = heads[doc.slug], _probing.attack_key(doc)
        row = (attack, seen[attack, head])  # the same attack and check once more, with other parameters of the check
        seen[attack, head] += 1
        rows.setdefault(row, _apart(_label(doc), rows.values()))
        columns.setdefault(head, _apart(_wrapped(head, _HEAD_LETTERS, _HEAD_LINES), columns.values()))
        yield _Cell(rows[row], columns[head], _number(doc), doc)


def _apart(label: str, taken: Iterable[str]) -> str:
    """The label, marked until it is none of those taken."""
    others = set(taken)
    while label in others:
        label = f"{label}\u2032"
    return label


def _label(doc: RequirementDoc) -> str:
    tried = _probing.settings(doc) if doc.under else "by itself"
    lines = (_wrapped(text, _LETTERS, _LINES) for text in (_probing.attack_title(doc), tried))
    return "\n".join(filter(None, lines))


def _wrapped(text: str, letters: int, lines: int) -> str:
    return "\n".join(textwrap.wrap(one_line(text, 200), letters, max_lines=lines, placeholder=" …"))


def _number(doc: RequirementDoc) -> str:
    """The recovery; where it is undefined, the difference to the reference, and said to be one."""
    if doc.recovery is not None and doc.recovery.value is not None:
        return f"{round(doc.recovery.value, 2) + 0.0:.2f}".replace("-", "−")
    gap = _probing.gap(doc)
    return NOT_MEASURED if gap is None else f"diff. {signed(gap.value, doc.metric.unit)}"


def _chart(cells: Sequence[_Cell], columns: Sequence[str], width: int, each: int) -> Specification:
    rows = list(dict.fromkeys(cell.row for cell in cells))
    x = _band("column", columns, "top", max(_lines_of(column) for column in columns) * _LINE_PIXELS + 4)
    y = _band("row", rows, "left", width)
    place = {"x": x, "y": y}
    data = [{"row": c.row, "column": c.column, "number": c.number, "word": _probing.word(c.doc), "step": c.step} for c in cells]
    colour = {"field": "step", "type": "nominal", "legend": None, "scale": {"domain": list(_LABELS), "range": list(HEAT)}}
    outline = {"type": "rect", "stroke": MUTED, "strokeWidth": 1, "opacity": 1}
    text = {"type": "text", "color": INK, "baseline": "middle", "fontSize": 13}
    shift = {"dy": {"expr": "datum.dy"}}
    return {
        "width": len(columns) * each,
        "height": {"step": max(_ROW_PIXELS, *(_LINE_PIXELS * _lines_of(row) + 10 for row in rows))},
        "layer": [
            layer({**outline, "strokeOpacity": 0.4}, [row for row in data if row["step"]], {**place, "color": colour}),
            layer({**outline, "color": "transparent", "strokeDash": [4, 3]}, [row for row in data if not row["step"]], place),
            layer({**text, "fontSize": 14, "fontWeight": "bold", "dy": -9}, data, {**place, **_text("number")}),
            layer({**text, "dy": 10}, data, {**place, **_text("word")}),
            layer(
                {**text, **shift, "align": "right"}, _placed("row", rows, 0.5), {"y": y, "x": {"value": -8}, **_text("line")}
            ),
            layer({**text, **shift}, _placed("column", columns, 1.0), {"x": x, "y": {"value": -6}, **_text("line")}),
        ],
    }


def _band(field: str, labels: Sequence[str], side: str, extent: int) -> Specification:
    """One axis of cells. Its labels are drawn apart, since those of an axis have one line; it keeps their room free."""
    scale = {"domain": list(labels), "paddingInner": 0.06, "paddingOuter": 0}
    axis = {"orient": side, "labels": False, "ticks": False, "domain": False, "grid": False}
    room = {"minExtent": extent, "maxExtent": extent}
    return {"field": field, "type": "nominal", "title": None, "sort": list(labels), "scale": scale, "axis": {**axis, **room}}


def _text(field: str) -> Specification:
    return {"text": {"field": field, "type": "nominal"}}


def _placed(field: str, labels: Sequence[str], above: float) -> list[Specification]:
    """Each line of each label; ``above``: the share of the lines that stands above the place."""
    return [
        {field: label, "line": line, "dy": round(_LINE_PIXELS * (number + 0.5 - above * _lines_of(label)))}
        for label in labels
        for number, line in enumerate(label.split("\n"))
    ]


def _lines_of(label: str) -> int:
    return label.count("\n") + 1


def _caption(cells: Sequence[_Cell]) -> str:
    parts = ["In each cell: the recovery, and the result of the requirement. A stronger colour is more recovery."]
    parts.append("No cell: not tried.")
    if any(not cell.step for cell in cells):
        parts.append(
            "Dashed, without colour: recovery is undefined or was not computed; diff. is the candidate minus the reference."
        )
    return " ".join(parts)


def _described(cells: Sequence[_Cell]) -> str:
    parts = (f"{c.row}, {c.column}: {c.number}, {_probing.word(c.doc)}".replace("\n", " ") for c in cells)
    return f"Rows are attacks, columns are checks. {'; '.join(parts)}."


def _legend(cells: Sequence[_Cell]) -> tuple[Key, ...]:
    if not any(cell.step for cell in cells):
        return ()
    return tuple(Key(label, 0, mark=False, line=False, fill=f"heat-{i}") for i, label in enumerate(_LABELS, start=1))


def _table(title: str, docs: Sequence[RequirementDoc], heads: Mapping[str, str]) -> Table:
    rows = tuple(
        (
            _probing.attack_title(doc),
            _probing.settings(doc) or "as it is",
            heads[doc.slug],
            unbroken(_probing.recovery_text(doc)),
            unbroken(_probing.gap_text(doc)),
            _probing.word(doc),
        )
        for doc in docs
    )
    columns = ("Attack", "Tried", "Check", "Recovery", "Candidate − reference", "Result")
    return Table(f"{title}, numbers", columns, rows)
