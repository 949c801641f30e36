"""HTML pages, made from the templates beside this module."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

from jinja2 import Environment, FileSystemLoader, StrictUndefined

_TEMPLATES: Final = Environment(
    loader=FileSystemLoader(Path(__file__).parent / "templates"),
    # For all templates, whatever their names end in: a memory's text is never markup.
    autoescape=True,
    undefined=StrictUndefined,
)


def page(template: str, **values: Any) -> bytes:
    """Return a page as UTF-8; every value is escaped."""
    return _TEMPLATES.get_template(template).render(values).encode("utf-8", "replace")


__all__ = ["page"]
