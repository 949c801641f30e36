"""Pages: every value is text, whatever it holds."""

from __future__ import annotations

import pytest
from jinja2 import UndefinedError
from lxml import html

from onebrain_server.http.pages import page

MARKUP = "<script>alert('\"&')</script>"


def test_values_are_escaped():
    memory = {"title": MARKUP, "type": "fact", "createdAt": "2026-01-15T09:30:00Z", "body": f"{MARKUP}\ud800"}
    made = page("export.html", brain={"profile": {"summary": MARKUP}, "memories": [memory]})
    tree = html.document_fromstring(made.decode())
    assert tree.xpath("//script") == []
    assert tree.findtext(".//p") == MARKUP
    assert tree.findtext(".//li/b") == MARKUP
    assert tree.findtext(".//li/small") == "fact, 2026-01-15"
    assert tree.xpath("//li/br")[0].tail == f"{MARKUP}?"


def test_no_summary_is_no_text():
    made = page("export.html", brain={"profile": {"summary": None}, "memories": []})
    assert html.document_fromstring(made.decode()).findtext(".//p") in (None, "")


def test_a_value_that_is_missing_is_an_error():
    with pytest.raises(UndefinedError):
        page("export.html", brain={"memories": []})
