"""A reader whose transaction began before a change answers as of one moment, and leaves the index true for all others."""

from __future__ import annotations

import threading

import pytest

import onebrain
from onebrain import F, Scope
from onebrain_engine.pages import Pages
from onebrain_engine.spaces import Spaces
from onebrain_engine.timeline import Timelines

FRUIT = F("kind").eq("apple")
OTHERS = F("kind").ne("apple")


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request, tmp_path):
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/brain.db"
    return request.getfixturevalue("postgres").new_database()


@pytest.fixture
def brain(url):
    with onebrain.connect(url, embedder=None) as brain:
        brain.store("an apple", id="a", metadata={"kind": "apple"})
        brain.count(filter=FRUIT)
        yield brain


@pytest.fixture
def meanwhile(brain, monkeypatch):
    """Return `meanwhile(change, times=1)`: the next readings see the store, and then `change` happens before they go on."""

    def arrange(change, times=1):
        views, left = Spaces.view, [times]

        def view(spaces, read, tenant, space, scope):
            seen = views(spaces, read, tenant, space, scope)
            if left[0] and threading.current_thread() is threading.main_thread():
                left[0] -= 1
                writer = threading.Thread(target=change)
                writer.start()
                writer.join()
                assert brain.driver.engine.indexes.loaded(tenant, space).through > space.seq
            return seen

        monkeypatch.setattr(Spaces, "view", view)

    return arrange


def store_another(brain, number=[1]):  # noqa: B006
    number[0] += 1
    brain.store(f"apple {number[0]}", metadata={"kind": "apple"})


# The third time the reader keeps others from the index.
@pytest.mark.parametrize("times", [1, 2])
def test_a_row_that_a_view_does_not_show_is_not_one_without_fields(brain, meanwhile, times):
    meanwhile(lambda: store_another(brain), times)
    assert brain.count(filter=FRUIT) == 1 + times
    assert brain.count(filter=OTHERS) == 0
    assert brain.count(filter=F("kind").exists()) == 1 + times


def test_a_row_that_a_view_shows_as_it_was_does_not_keep_its_old_value(brain, meanwhile):
    meanwhile(lambda: brain.update("a", metadata={"kind": "pear"}))
    assert brain.count(filter=FRUIT) == 0
    assert brain.count(filter=F("kind").eq("pear")) == 1


def test_a_page_is_full_and_shows_what_was_selected(brain, meanwhile):
    meanwhile(lambda: brain.store("apple pie", id="b", metadata={"kind": "apple"}))
    page = brain.page(filter=FRUIT, limit=1)
    assert [memory.id for memory in page.data] == ["b"]
    assert page.meta.total == 2


def test_a_memory_is_shown_as_the_filter_judged_it(brain, meanwhile):
    brain.store("a pear", id="p", metadata={"kind": "pear"})
    brain.count()
    meanwhile(lambda: brain.update("p", metadata={"kind": "apple"}))
    assert {memory.id: memory.metadata["kind"] for memory in brain.list(filter=FRUIT)} == {
        "a": "apple",
        "p": "apple",
    }


def test_a_search_finds_as_many_as_were_there(brain, meanwhile):
    meanwhile(lambda: brain.store("an apple pie", id="b", metadata={"kind": "apple"}))
    assert [hit.memory.content for hit in brain.search("pie", mode="keyword", limit=1)] == ["an apple pie"]


def test_forgetting_the_others_keeps_what_was_stored_beside_a_reader(brain, meanwhile):
    for _ in range(3):
        meanwhile(lambda: store_another(brain))
        brain.count(filter=OTHERS)
    assert brain.forget(filter=OTHERS).count == 0
    assert brain.count(filter=FRUIT) == 4


def test_what_is_remembered_of_a_memory_is_what_the_view_shows(brain):
    engine = brain.driver.engine
    pages = Pages(engine.indexes, Timelines(), engine.bounds)
    brain.get("a")
    with engine.store.reading() as read:
        space = read.spaces("default")[0]
        found = read.find("default", ["a"], Scope(), now=0)
        writer = threading.Thread(target=lambda: brain.update("a", content="a pear"))
        writer.start()
        writer.join()
        brain.count()
        # Which the index remembers.
        brain.get("a")
        index = engine.indexes.loaded("default", space)
        assert index.through > space.seq
        (memory,) = pages.memories(read, "default", found, False).values()
        assert memory.content == "an apple"
    assert brain.get("a").content == "a pear"


def test_several_spaces_are_seen_at_one_moment(brain, meanwhile):
    brain.store("elsewhere", id="e", scope=Scope(space="notes"), metadata={"kind": "apple"})
    brain.count(filter=FRUIT)

    def change():
        brain.store("b", id="b", metadata={"kind": "apple"})
        brain.store("f", id="f", scope=Scope(space="notes"), metadata={"kind": "apple"})

    meanwhile(change)
    seen = {memory.id for memory in brain.list(filter=FRUIT)}
    assert seen in ({"a", "e"}, {"a", "b", "e", "f"})
    assert brain.count(filter=FRUIT) == 4
