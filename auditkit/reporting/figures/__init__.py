"""Figures of a requirement: static SVG in the page's own colours, each with its numbers in a table."""

from __future__ import annotations

from typing import TYPE_CHECKING

from auditkit.reporting.figures._contexts import context_figures, is_context
from auditkit.reporting.figures._interval import difference_figure, interval_figure
from auditkit.reporting.figures._parts import Figure, Key, Panel, Table
from auditkit.reporting.figures._scores import score_figures
from auditkit.reporting.figures._svg import Node

if TYPE_CHECKING:
    from auditkit.evidence.results import RequirementDoc
    from auditkit.evidence.values import ValuesDoc

__all__ = ["Figure", "Key", "Node", "Panel", "Table", "figures_for", "is_context"]


def figures_for(requirement: RequirementDoc, values: ValuesDoc | None) -> list[Figure]:
    """What the requirement's data allow: the interval always, the others where the values are of that kind."""
    figures = [interval_figure(requirement), difference_figure(requirement)]
    if values is not None and any(model.labels for model in values.models.values()):
        figures += score_figures(requirement, values)
    return [figure for figure in (*figures, *context_figures(requirement)) if figure is not None]
