"""Tests that a memory replaces others, which are kept, and that memories hold when they say so."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar

import pytest

from onebrain.errors import OneBrainError, OneBrainNotFoundError, OneBrainValidationError, Unsupported
from onebrain.memory.brain import Brain
from onebrain.memory.filters import F
from onebrain.memory.models import NewMemory, Scope
from onebrain.testing.conformance.suite import Suite, found, ids, keep, keep_all, lacks, listed, needs

EWA, OTHER = Scope(user="ewa"), Scope(user="olek")
SPRING, SUMMER, AUTUMN = (datetime(2021, month, 1, tzinfo=UTC) for month in (3, 6, 9))
MOMENT = timedelta(microseconds=1)


def chain(brain: Brain, **fields: Any) -> tuple[str, str, str]:
    """Store a memory, one that replaces it, and one that replaces that, each from its own time on."""
    can = brain.capabilities
    time = "created_at" if can.created_at else "valid_from" if can.validity else None
    old, newer, newest = (
        {**fields, **({} if time is None else {time: at})} for at in (SPRING, SUMMER, AUTUMN)
    )
    first = keep(brain, "Ewa works at the bakery", scope=EWA, **old)
    second = keep(brain, "Ewa bakes at the mill", scope=EWA, supersedes=first, **newer)
    third = keep(brain, "Ewa moved to the harbour", scope=EWA, supersedes=[second], **newest)
    return first, second, third


def holding(brain: Brain, query: str = "Ewa works at the bakery", **options: Any) -> set[str]:
    """Return the ids of the memories that hold: all of a list, or where there is none, those of a search."""
    return listed(brain, **options) if brain.capabilities.list else found(brain, query, **options)


def later_than(brain: Brain, id: str) -> datetime:
    """Return a moment after a memory was changed, and before the next one is."""
    moment = brain.get(id).updated_at
    assert moment is not None
    while datetime.now(UTC) <= moment + MOMENT:
        pass
    return moment + MOMENT


class SupersedeSuite(Suite):
    """Tests of `supersede`, `history` and validity."""

    verb: ClassVar[str] = "supersede"

    def test_a_service_without_links_refuses(self, brain: Brain) -> None:
        lacks(brain, "supersede")
        old = keep(brain, "the old one")
        with pytest.raises(Unsupported):
            brain.supersede(old, "the new one")
        with pytest.raises(Unsupported):
            brain.store("the new one", supersedes=old)
        with pytest.raises(Unsupported):
            brain.history(old)
        assert brain.get(old).content == "the old one"

    def test_a_service_without_validity_refuses(self, brain: Brain) -> None:
        lacks(brain, "validity")
        with pytest.raises(Unsupported):
            brain.store("a sale", valid_until=SPRING)
        with pytest.raises(Unsupported):
            brain.search("a sale", at=SPRING)

    def test_the_new_memory_is_found_and_the_old_one_is_kept(self, brain: Brain) -> None:
        needs(brain, "supersede", "tags")
        old = keep(brain, "Ewa works at the bakery", scope=EWA, tags=["job"], metadata={"n": 1}, type="fact")
        before = brain.get(old)
        result = brain.supersede(old, "Ewa works at the harbour", scope=EWA)
        assert result.id is not None
        new = brain.get(result.id)
        assert (new.scope, new.tags, new.metadata, new.type) == (EWA, ("job",), {"n": 1}, "fact")
        assert new.supersedes == (old,)
        after = brain.get(old)
        assert (after.superseded_by, after.superseded_at is not None) == (new.id, True)
        assert after.model_copy(update={"superseded_by": None, "superseded_at": None}) == before
        assert found(brain, "Where does Ewa work?", scope=EWA) == {new.id}
        assert holding(brain, scope=EWA) == {new.id}
        assert found(brain, "Ewa works", include_superseded=True) == {old, new.id}
        assert holding(brain, include_superseded=True) == {old, new.id}
        if brain.capabilities.list:
            assert (brain.count(scope=EWA), brain.count(scope=EWA, include_superseded=True)) == (1, 2)
        assert "bakery" not in brain.context("Where does Ewa work?", scope=EWA).text

    def test_the_new_memory_is_as_important_as_the_old_one(self, brain: Brain) -> None:
        needs(brain, "supersede", "archive", "importance")
        old = keep(brain, "Ewa works at the bakery", scope=EWA, title="Bakery", pinned=True, importance=0.9)
        new = brain.get(brain.supersede(old, "Ewa works at the harbour", scope=EWA).id or "")
        assert (new.pinned, new.importance, new.title) == (True, 0.9, None)
        assert "harbour" in brain.context("Where does Ewa work?", scope=EWA).text
        newest = brain.get(
            brain.supersede(new.id, "a boat", scope=EWA, pinned=False, importance=None, title="Boat").id or ""
        )
        assert (newest.pinned, newest.importance, newest.title) == (False, None, "Boat")

    def test_what_is_about_the_old_memory_alone_is_not_copied(self, brain: Brain) -> None:
        needs(brain, "supersede", "client_ids")
        drawn = {
            "remember_key": "key",
            "quote": "I bake",
            "sources": ["said"],
            "model": "any",
            "session": "s",
        }
        own = {"kind": "job", "role": "baker", "sources": ["paper"], "model": "T"}
        cases: list[tuple[dict[str, Any], dict[str, Any]]] = [
            ({"_onebrain": {"kind": "TextNode"}, "color": "red"}, {"color": "red"}),
            ({**drawn, "color": "red"}, {"color": "red"}),
            ({"kind": "message", "role": "user", "remembered": {}, "n": 1}, {"n": 1}),
            (own, own),
        ]
        for number, (metadata, copied) in enumerate(cases):
            old = keep(brain, f"Ewa works at the bakery {number}", scope=EWA, metadata=metadata)
            new = brain.supersede(old, f"Ewa works at the harbour {number}", scope=EWA)
            assert brain.get(new.id or "").metadata == copied
            again = brain.supersede(new.id or "", "a boat", scope=EWA, metadata=metadata)
            assert brain.get(again.id or "").metadata == metadata

    def test_a_fact_by_hand_stays_when_the_message_of_the_old_one_goes(self, brain: Brain) -> None:
        needs(brain, "supersede", "client_ids", "list", "delete")
        said = keep(brain, "I bake", scope=EWA, metadata={"kind": "message", "role": "user"})
        drawn = {"remember_key": "key", "sources": [said]}
        old = keep(brain, "Ewa works at the bakery", scope=EWA, type="fact", metadata=drawn)
        new = brain.supersede(old, "Ewa works at the harbour", scope=EWA).id
        brain.delete(said, scope=EWA)
        assert listed(brain, include_superseded=True) == {new}

    def test_only_text_supersedes(self, brain: Brain) -> None:
        needs(brain, "list", "supersede")
        old = keep(brain, "Ewa works at the bakery", scope=EWA)
        for content in ({"content": "a harbour", "importance": 0.9}, NewMemory(content="a harbour"), None):
            with pytest.raises(OneBrainValidationError, match="content"):
                brain.supersede(old, content, scope=EWA)  # type: ignore[arg-type]
        assert listed(brain, include_superseded=True) == {old}

    def test_no_link_is_lost_where_the_same_text_is_there(self, brain: Brain) -> None:
        needs(brain, "list", "supersede")
        known = keep(brain, "Ewa works at the harbour", scope=EWA)
        old = keep(brain, "Ewa works at the bakery", scope=EWA)
        with pytest.raises(OneBrainNotFoundError):
            brain.store("Ewa works at the harbour", scope=EWA, supersedes="nothing", dedupe="exact")
        new = brain.store("Ewa works at the harbour", scope=EWA, supersedes=old, dedupe="exact", wait=True)
        assert (new.status, listed(brain, scope=EWA)) == ("created", {known, new.id})
        again = brain.store("Ewa works at the harbour", scope=EWA, supersedes=old, dedupe="exact")
        assert (again.status, again.id) == ("duplicate", new.id)
        mill = keep(brain, "Ewa bakes at the mill", scope=EWA)
        items = [{"content": "a boat", "supersedes": ids} for ids in ([], [mill], [mill], [])]
        results = brain.store_many(items, scope=EWA, dedupe="exact", wait=True)
        assert [result.status for result in results] == ["created", "created", "duplicate", "duplicate"]
        assert brain.get(mill).superseded_by == results[1].id == results[2].id

    def test_what_is_no_id_is_an_error(self, brain: Brain) -> None:
        needs(brain, "list", "supersede")
        wrongs: list[Any] = ["", {}, [""]]
        for wrong in wrongs:
            for name in ("supersedes", "sources"):
                with pytest.raises(OneBrainValidationError, match=name):
                    brain.store("x", **{name: wrong})
        assert listed(brain) == set()
        nones: list[Any] = [(), [], None]
        for none in nones:
            assert brain.store("x", supersedes=none).ok

    def test_a_chain_ranks_as_one_by_its_best_member(self, brain: Brain) -> None:
        needs(brain, "supersede")
        keep_all(brain, ["the bakery opens at six", "the mill is closed"], scope=EWA)
        first, second, third = chain(brain)
        hits = brain.search("Ewa works at the bakery", scope=EWA)
        assert hits[0].id == third
        assert not {first, second} & set(ids(hits))
        if "keyword" in brain.capabilities.modes:
            assert ids(brain.search("Ewa bakery", scope=EWA, mode="keyword", limit=1)) == [third]
        assert brain.search("Ewa bakery", scope=EWA, limit=2)[1].id not in {first, second, third}

    def test_history_is_the_whole_chain_from_any_of_it(self, brain: Brain) -> None:
        needs(brain, "supersede")
        members = chain(brain)
        alone = keep(brain, "the mill is closed", scope=EWA)
        for id in members:
            assert tuple(ids(brain.history(id, scope=EWA))) == members
        assert ids(brain.history(alone)) == [alone]
        with pytest.raises(OneBrainNotFoundError):
            brain.history(members[0], scope=OTHER)
        with pytest.raises(OneBrainNotFoundError):
            brain.history("nothing")

    def test_deleting_the_new_one_opens_the_old_one_again(self, brain: Brain) -> None:
        needs(brain, "delete", "supersede")
        first, second, third = chain(brain)
        brain.delete(third)
        assert holding(brain) == {second}
        assert brain.get(second).superseded_by is None
        if brain.capabilities.list:
            brain.forget(filter=F("$id").eq(second), scope=EWA)
        else:
            brain.delete(second)
        assert holding(brain) == found(brain, "Ewa works at the bakery") == {first}

    def test_deleting_the_old_one_leaves_the_new_one(self, brain: Brain) -> None:
        needs(brain, "delete", "supersede")
        first, second, third = chain(brain)
        brain.delete(second)
        assert holding(brain) == {first, third}
        assert brain.get(third).supersedes == ()
        assert brain.get(first).superseded_by is None

    def test_a_link_can_be_taken_back(self, brain: Brain) -> None:
        needs(brain, "list", "supersede", "update")
        first, second, third = chain(brain)
        assert brain.update(second, supersedes=[]).supersedes == ()
        assert listed(brain) == {first, third}
        assert brain.update(second, supersedes=first).supersedes == (first,)
        assert listed(brain) == {third}
        brain.update(third, content="Ewa moved to the lighthouse")
        assert listed(brain) == {third}

    def test_storing_again_without_the_link_opens_the_old_one(self, brain: Brain) -> None:
        needs(brain, "list", "supersede", "client_ids")
        keep(brain, "old", id="old", scope=EWA)
        for _ in range(2):
            keep(brain, "new", id="new", scope=EWA, supersedes="old")
            assert listed(brain) == {"new"}
        keep(brain, "new", id="new", scope=EWA)
        assert listed(brain) == {"old", "new"}
        assert brain.get("old").superseded_by is None

    def test_of_two_that_replace_one_the_later_record_wins(self, brain: Brain) -> None:
        needs(brain, "list", "delete", "supersede")
        times: list[dict[str, Any]] = [{"created_at": at} for at in (SPRING, AUTUMN, SUMMER)]
        if not brain.capabilities.created_at:
            times = [{}] * 3
        old = keep(brain, "Ewa works at the bakery", scope=EWA, **times[0])
        one = keep(brain, "alpha", scope=EWA, supersedes=old, **times[1])
        two = keep(brain, "omega", scope=EWA, supersedes=old, **times[2])
        assert brain.get(old).superseded_by == two
        assert listed(brain) == {one, two}
        assert ids(brain.search("Ewa works at the bakery", scope=EWA, limit=1)) == [two]
        brain.delete(two)
        assert brain.get(old).superseded_by == one

    def test_what_cannot_be_replaced_is_an_error_and_nothing_is_stored(self, brain: Brain) -> None:
        needs(brain, "list", "supersede", "client_ids")
        keep(brain, "old", id="old", scope=EWA)
        keep(brain, "new", id="new", scope=EWA, supersedes="old")
        for wrong in ("nothing", "new"):
            with pytest.raises(OneBrainError):
                brain.store("newest", id="new" if wrong == "new" else "newest", scope=EWA, supersedes=wrong)
        with pytest.raises(OneBrainValidationError, match="itself"):
            brain.store("old again", id="old", scope=EWA, supersedes="new")
        with pytest.raises(OneBrainNotFoundError):
            brain.store("somebody else's", scope=OTHER, supersedes="old")
        with pytest.raises(OneBrainNotFoundError):
            brain.store("elsewhere", scope=Scope(space="work", user="ewa"), supersedes="old")
        with pytest.raises(OneBrainNotFoundError):
            brain.supersede("old", "somebody else's", scope=OTHER)
        assert listed(brain, include_superseded=True) == {"old", "new"}
        assert brain.get("old").content == "old"
        results = brain.store_many(
            [{"content": "good", "id": "good"}, {"content": "bad", "supersedes": ["nothing"]}], scope=EWA
        )
        assert results.failed == (1,)
        assert brain.get("good").content == "good"

    def test_a_link_that_cannot_be_is_an_error_and_changes_nothing(self, brain: Brain) -> None:
        needs(brain, "supersede")
        old = keep(brain, "Ewa works at the bakery", scope=EWA)
        new = keep(brain, "Ewa works at the harbour", scope=EWA, supersedes=old)
        with pytest.raises(OneBrainNotFoundError):
            brain.store("of nothing", scope=EWA, supersedes="nothing")
        with pytest.raises(OneBrainNotFoundError):
            brain.store("somebody else's", scope=OTHER, supersedes=old)
        with pytest.raises(OneBrainNotFoundError):
            brain.supersede(old, "somebody else's", scope=OTHER)
        results = brain.store_many(["good", {"content": "bad", "supersedes": ["nothing"]}], scope=EWA)
        assert results.failed == (1,)
        if brain.capabilities.update:
            with pytest.raises(OneBrainValidationError, match="itself"):
                brain.update(old, supersedes=new)
        assert (brain.get(old).supersedes, brain.get(new).supersedes) == ((), (old,))
        assert ids(brain.history(new)) == [old, new]

    def test_a_batch_may_hold_a_whole_chain(self, brain: Brain) -> None:
        needs(brain, "list", "supersede", "client_ids")
        items = [
            {"content": f"step {n}", "id": f"{n}", "supersedes": [f"{n - 1}"] if n else []} for n in range(4)
        ]
        assert keep_all(brain, items, scope=EWA) == ["0", "1", "2", "3"]
        assert listed(brain) == {"3"}
        assert ids(brain.history("0")) == ["0", "1", "2", "3"]

    def test_the_scope_of_a_search_is_never_left(self, brain: Brain) -> None:
        needs(brain, "supersede")
        old = keep(brain, "Ewa works at the bakery", scope=Scope(user="ewa", session="one"))
        new = keep(brain, "a harbour", scope=Scope(user="ewa", session="two"), supersedes=old)
        assert found(brain, "Ewa works at the bakery", scope=Scope(session="one")) == set()
        assert found(brain, "Ewa works at the bakery", scope=Scope(session="two")) <= {new}
        assert ids(brain.history(old, scope=Scope(session="one"))) == [old]

    def test_a_filter_counts_for_the_memory_that_is_returned(self, brain: Brain) -> None:
        needs(brain, "list", "supersede")
        old = keep(brain, "Ewa works at the bakery", scope=EWA, metadata={"kind": "job"})
        new = keep(brain, "a harbour", scope=EWA, metadata={"kind": "place"}, supersedes=old)
        assert listed(brain, filter=F("kind").eq("job")) == set()
        assert found(brain, "Ewa works at the bakery", filter=F("kind").eq("job")) == set()
        assert listed(brain, filter=F("kind").eq("place")) == {new}

    def test_pages_are_full_beside_what_is_left_out(self, brain: Brain) -> None:
        needs(brain, "list", "supersede", "client_ids")
        items = [
            {"content": f"note {n}", "id": f"{n}", "supersedes": [f"{n - 1}"] if n % 2 else []}
            for n in range(20)
        ]
        keep_all(brain, items, scope=EWA)
        page = brain.page(order="sequence", limit=4)
        rows = ids(page.data)
        while page.meta.has_more:
            assert len(page.data) == 4
            page = brain.page(order="sequence", limit=4, cursor=page.meta.cursor)
            rows += ids(page.data)
        assert rows == [f"{n}" for n in range(1, 20, 2)]
        assert len(brain.search("note", limit=10)) == 10

    def test_validity_at_its_borders(self, brain: Brain) -> None:
        needs(brain, "validity")
        made: dict[str, Any] = {"created_at": SPRING} if brain.capabilities.created_at else {}
        sale = keep(brain, "the sale", scope=EWA, valid_from=SUMMER, valid_until=AUTUMN, **made)
        memory = brain.get(sale)
        assert (memory.valid_from, memory.valid_until) == (SUMMER, AUTUMN)
        for at, holds in (
            (SPRING, False),
            (SUMMER - MOMENT, False),
            (SUMMER, True),
            (AUTUMN - MOMENT, True),
            (AUTUMN, False),
            (None, False),
        ):
            assert (sale in found(brain, "the sale", at=at)) is holds
            if brain.capabilities.list:
                assert (sale in listed(brain, at=at)) is holds
                assert (brain.count(at=at) == 1) is holds
        assert holding(brain, "the sale", include_superseded=True) == {sale}

    def test_a_memory_holds_from_its_creation_unless_it_says_otherwise(self, brain: Brain) -> None:
        needs(brain, "list", "validity", "created_at")
        plain = keep(brain, "plain", scope=EWA, created_at=SUMMER)
        told_later = keep(brain, "told later", scope=EWA, created_at=AUTUMN, valid_from=SPRING)
        assert listed(brain, at=SPRING) == {told_later}
        assert listed(brain, at=SUMMER - MOMENT) == {told_later}
        assert listed(brain, at=SUMMER.isoformat()) == {plain, told_later}
        assert found(brain, "plain told later", at=SPRING) == {told_later}

    def test_a_plan_replaces_only_once_it_begins(self, brain: Brain) -> None:
        needs(brain, "list", "supersede", "validity")
        now = datetime.now(UTC)
        old = keep(brain, "Ewa lives in Gdynia", scope=EWA)
        plan = keep(
            brain, "Ewa lives in Utrecht", scope=EWA, supersedes=old, valid_from=now + timedelta(days=9)
        )
        assert listed(brain) == {old}
        assert listed(brain, at=now + timedelta(days=10)) == {plan}
        assert found(brain, "Ewa lives in Utrecht") == {old}

    def test_a_memory_made_in_the_future_replaces_at_once(self, brain: Brain) -> None:
        needs(brain, "list", "supersede", "validity", "created_at")
        now = datetime.now(UTC)
        old = keep(brain, "Ewa lives in Gdynia", scope=EWA)
        later = now + timedelta(days=9)
        new = keep(brain, "Ewa lives in Utrecht", scope=EWA, supersedes=old, created_at=later)
        assert listed(brain) == found(brain, "Ewa lives in Gdynia") == {new}
        assert brain.count() == 1
        # Of another time, `created_at` says when it began to hold.
        assert listed(brain, at=later - MOMENT) == {old}
        assert listed(brain, at=later) == {new}

    def test_at_shows_the_member_that_held_then(self, brain: Brain) -> None:
        needs(brain, "supersede", "validity")
        first, second, third = chain(brain)
        for at, held in ((SPRING, first), (SUMMER - MOMENT, first), (SUMMER, second), (AUTUMN, third)):
            assert holding(brain, at=at) == {held}
            for query in ("Ewa works at the bakery", "Ewa moved to the harbour"):
                assert found(brain, query, at=at, scope=EWA) == {held}
        assert holding(brain, at=SPRING - MOMENT) == set()
        assert holding(brain, at=AUTUMN, include_superseded=True) == {first, second, third}

    def test_as_of_leaves_out_what_was_stored_or_linked_later(self, brain: Brain) -> None:
        needs(brain, "list", "supersede", "as_of", "created_at", "update")
        first = keep(brain, "Ewa works at the bakery", scope=EWA, created_at=SUMMER)
        one = later_than(brain, first)
        # It says of itself that it is older, but it was stored later.
        second = keep(brain, "Ewa works at the mill", scope=EWA, created_at=SPRING)
        two = later_than(brain, second)
        brain.update(first, supersedes=second)
        before = one - timedelta(seconds=60)
        for as_of, holding, all_known in (
            (before, set[str](), set[str]()),
            (one, {first}, {first}),
            (two, {first, second}, {first, second}),
            (None, {first}, {first, second}),
        ):
            for query in ("Ewa works at the bakery", "Ewa works at the mill"):
                assert found(brain, query, as_of=as_of) == holding
            assert listed(brain, as_of=as_of) == holding
            assert brain.count(as_of=as_of) == len(holding)
            assert listed(brain, as_of=as_of, include_superseded=True) == all_known
        # Both axes: in spring the second one held, and nothing was known of it before it was stored.
        assert listed(brain, at=SPRING, as_of=two) == {second}
        assert listed(brain, at=SPRING, as_of=one.isoformat()) == set()
        assert listed(brain, at=SUMMER, as_of=two) == {first, second}
        (old,) = brain.list(filter=F("$id").eq(second), as_of=two)
        assert (old.superseded_by, brain.get(second).superseded_by) == (None, first)
        assert "mill" not in brain.context("Where does Ewa work?", as_of=one).text
        with pytest.raises(OneBrainValidationError, match="as_of"):
            brain.search("anything", as_of="soon")

    def test_a_service_that_does_not_know_when_it_stored_refuses(self, brain: Brain) -> None:
        lacks(brain, "as_of")
        with pytest.raises(Unsupported):
            brain.search("anything", as_of=SPRING)

    def test_one_that_expires_opens_the_old_one_again(self, brain: Brain) -> None:
        needs(brain, "list", "supersede", "expiry")
        old = keep(brain, "Ewa lives in Gdynia", scope=EWA)
        keep(brain, "a holiday", scope=EWA, supersedes=old, expires_at=datetime.now(UTC) - timedelta(days=1))
        assert listed(brain) == {old}
        assert brain.get(old).superseded_by is None

    def test_an_expired_memory_stands_for_no_other(self, brain: Brain) -> None:
        needs(brain, "list", "supersede", "validity", "created_at", "expiry", "update")
        olds = [keep(brain, f"old {n}", scope=EWA, created_at=SPRING) for n in range(2)]
        keep(brain, "the marathon", scope=EWA, created_at=AUTUMN, supersedes=olds)
        brain.update(olds[1], expires_at=datetime.now(UTC) - timedelta(days=1), scope=EWA)
        assert ids(brain.search("the marathon", scope=EWA, at=SUMMER)) == [olds[0]]

    def test_what_is_wrong_about_time_is_an_error(self, brain: Brain) -> None:
        needs(brain, "list", "validity")
        with pytest.raises(OneBrainValidationError, match="valid_until"):
            brain.store("backwards", valid_from=AUTUMN, valid_until=SPRING)
        with pytest.raises(OneBrainValidationError, match=r"at: must") as caught:
            brain.search("anything", at="soon")
        assert caught.value.message.startswith("at: must")
        with pytest.raises(OneBrainValidationError, match="at"):
            brain.page(at=3)  # type: ignore[arg-type]
        if not brain.capabilities.update:
            return
        id = keep(brain, "forwards", valid_from=SPRING)
        with pytest.raises(OneBrainValidationError, match="valid_until"):
            brain.update(id, valid_until=SPRING)
        assert brain.update(id, valid_from=None, valid_until=SPRING).valid_from is None
        assert listed(brain) == set()

    def test_sources_are_kept(self, brain: Brain) -> None:
        needs(brain, "list", "supersede")
        raw = keep(brain, "Ewa: I started at the harbour", scope=EWA)
        fact = keep(brain, "Ewa works at the harbour", scope=EWA, sources=[raw])
        assert brain.get(fact).sources == (raw,)
        assert listed(brain) == {raw, fact}

    def test_suggestions_name_what_seems_to_be_replaced_and_change_nothing(self, brain: Brain) -> None:
        old = keep(brain, "Ewa works at the bakery", scope=EWA)
        keep(brain, "Ewa works at the bakery", scope=OTHER)
        keep(brain, "the mill is closed", scope=EWA)
        new = keep(brain, "Ewa works at the harbour now", scope=EWA)
        for suggestions in [brain.suggest_supersessions(new)] + [
            brain.suggest_supersessions(EWA) for _ in range(brain.capabilities.list)
        ]:
            (one,) = suggestions
            assert (one.new.id, one.old.id, one.reason) == (new, old, "same beginning")
            assert 0 <= one.score <= 1
        assert brain.suggest_supersessions(old) == []
        assert brain.get(old).superseded_by is None
        with pytest.raises(OneBrainNotFoundError):
            brain.suggest_supersessions(new, scope=OTHER)
