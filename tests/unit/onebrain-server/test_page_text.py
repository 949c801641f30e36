"""What a page shows is read, whatever the page is made of."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from onebrain_server.dialects.onebrain.routes.extraction import page_text


@pytest.mark.parametrize(
    ("page", "text"),
    [
        ("", ""),
        ("plain words", "plain words"),
        ("<p>Maria &amp; Paulo</p><p>two</p>", "Maria & Paulo\ntwo"),
        ("<!doctype html><html><head><title>no</title></head><body>yes</body></html>", "yes"),
        ("a<script>var x = '<p>no</p>';</script>b", "ab"),
        ("<nav><a>menu</a></nav><main>words  and\tspaces</main>", "words and spaces"),
        ("<ul><li>one<li>two</ul>", "one\ntwo"),
        ("<p>broken <b>tags</p> go on", "broken tags\ngo on"),
        ("<p>NUL \0 and \ud800</p>", "NUL � and ?"),
        ("1 < 2 and 3 > 2", "1 < 2 and 3 > 2"),
        ("<p>Grüße, 你好</p>", "Grüße, 你好"),
    ],
)
def test_a_page_is_read_as_a_person_sees_it(page, text):
    assert page_text(page) == text


@given(st.text(alphabet=st.characters(exclude_characters="<>&\0\r"), max_size=200))
def test_text_without_markup_is_kept(text):
    plain = " ".join(text.encode("utf-8", "replace").decode().split())
    assert " ".join(page_text(f"<p>{text}</p>").split()) == plain


@given(
    st.lists(
        st.sampled_from(["<", ">", "a", "=", '"', "<div>", "</p>", "<!--", "-->", "&#x0;", "&amp", " "]),
        max_size=60,
    )
)
def test_no_page_is_too_broken(pieces):
    assert isinstance(page_text("".join(pieces)), str)


def test_a_page_may_be_nested_deeply():
    assert page_text("<div>" * 5000 + "deep" + "</div>" * 5000) == "deep"
