"""Tests that `remember` loses no message, keeps no fact that nobody said, and touches nothing outside of its scope."""

from __future__ import annotations

import json
from typing import Any, ClassVar

import pytest

from onebrain.errors import ModelError, OneBrainValidationError, Unsupported
from onebrain.memory.brain import Brain
from onebrain.memory.driver import Proposes
from onebrain.memory.models import Scope
from onebrain.memory.remembering.results import RememberResult
from onebrain.testing.conformance.suite import Suite, found, keep, lacks, listed, needs

MAY = Scope(user="may", session="monday")
HER = Scope(user="may")
OTHER = Scope(user="noor")
SAID = "I moved to Utrecht, and my cat Misha hates it."
HOME: dict[str, Any] = {"text": "May lives in Utrecht", "quote": "I moved to Utrecht", "from": 1}
CAT: dict[str, Any] = {"text": "May's cat Misha hates Utrecht", "quote": "my cat Misha hates it", "from": 1}


class Scripted:
    """A language model that answers with texts, one after the other, the last one again and again; it may raise one."""

    def __init__(self, *answers: Any) -> None:
        self.prompts: list[str] = []
        self._answers = list(answers)

    def __call__(self, prompt: str) -> str:
        self.prompts.append(prompt)
        answer = self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]
        if isinstance(answer, Exception):
            raise answer
        return answer if isinstance(answer, str) else json.dumps({"facts": answer})


def remember(brain: Brain, model: Any, said: Any = SAID, **options: Any) -> RememberResult:
    """Remember a message in May's scope."""
    given: dict[str, Any] = {"scope": MAY, "model": model, **options}
    return brain.remember(said, **given)


def facts(brain: Brain, scope: Scope = HER) -> set[str]:
    """Return the texts of all facts in a scope."""
    hits = brain.search("Where does May live, with her cat Misha?", scope=scope, limit=50)
    return {hit.content for hit in hits if hit.memory.type == "fact"}


class RememberSuite(Suite):
    """Tests of `remember`."""

    verb: ClassVar[str] = "remember"

    def test_messages_and_facts_are_kept(self, brain: Brain) -> None:
        result = remember(brain, Scripted([HOME, CAT]))
        assert result.error is None
        assert result.status == "done"
        assert [one.ok for one in result.raw] == [True]
        raw = brain.get(str(result.raw[0].id))
        assert (raw.content, raw.scope, raw.metadata["role"]) == (SAID, MAY, "user")
        assert [fact.status for fact in result.facts] == ["created", "created"]
        memory = brain.get(result.facts[0].id)
        assert (memory.content, memory.type, memory.scope) == (HOME["text"], "fact", HER)
        assert (memory.metadata["quote"], memory.metadata["session"]) == (HOME["quote"], "monday")
        assert result.facts[0].sources == (raw.id,)
        if brain.capabilities.supersede:
            assert memory.sources == (raw.id,)

    def test_the_same_call_twice_changes_nothing_and_asks_once(self, brain: Brain) -> None:
        model = Scripted([HOME, CAT])
        first = remember(brain, model)
        second = remember(brain, model)
        assert (second.status, len(model.prompts)) == ("unchanged", 1)
        assert {fact.id for fact in second.facts} == {fact.id for fact in first.facts}
        assert {fact.status for fact in second.facts} == {"unchanged"}
        assert [one.id for one in second.raw] == [one.id for one in first.raw]
        if brain.capabilities.list:
            assert brain.count(scope=HER) == 3

    def test_a_fact_without_its_quote_never_gets_in(self, brain: Brain) -> None:
        lies = [
            {**HOME, "quote": "I moved to Bergen"},
            {**HOME, "text": "May has 3 cats"},
            {**HOME, "text": "May moved on 2 May 2019"},
            {"text": "May lives in Utrecht"},
        ]
        result = remember(brain, Scripted([*lies, CAT]))
        assert [fact.content for fact in result.facts] == [CAT["text"]]
        assert [text for text, _ in result.dropped] == [lie["text"] for lie in lies]
        assert facts(brain) == {CAT["text"]}

    @pytest.mark.parametrize("answer", [RuntimeError(SAID), "no JSON at all", "", '{"facts": 7}', "[[[["])
    def test_a_model_that_fails_or_answers_nonsense_loses_nothing(self, brain: Brain, answer: Any) -> None:
        result = remember(brain, Scripted(answer))
        assert isinstance(result.error, ModelError)
        assert SAID not in str(result.error)
        assert (result.status, result.facts) == ("failed", ())
        assert brain.get(str(result.raw[0].id)).content == SAID
        again = remember(brain, Scripted([HOME]))
        assert ([fact.content for fact in again.facts], again.raw[0].id) == ([HOME["text"]], result.raw[0].id)

    def test_nonsense_is_asked_about_once_more(self, brain: Brain) -> None:
        model = Scripted("no JSON at all", [HOME])
        assert [fact.content for fact in remember(brain, model).facts] == [HOME["text"]]
        assert len(model.prompts) == 2

    def test_without_a_model_the_messages_are_kept(self, brain: Brain) -> None:
        result = remember(brain, None)
        assert isinstance(result.error, ModelError)
        assert brain.get(str(result.raw[0].id)).content == SAID

    def test_wrong_arguments_store_nothing(self, brain: Brain) -> None:
        for options in ({"supersede": "maybe"}, {"instructions": " "}, {"created_at": "soon"}, {"said": ""}):
            with pytest.raises(OneBrainValidationError):
                remember(brain, Scripted([]), **{"said": SAID, **options})
        with pytest.raises(ValueError, match="model"):
            remember(brain, 7)
        assert found(brain, "Utrecht") == set()

    def test_a_service_without_a_model_refuses(self, brain: Brain) -> None:
        if isinstance(brain.driver, Proposes):
            pytest.skip(f"{brain.capabilities.service} has a model of its own")
        with pytest.raises(Unsupported):
            remember(brain, "service")
        assert found(brain, "Utrecht") == set()

    def test_a_known_fact_is_not_stored_again(self, brain: Brain) -> None:
        [old] = remember(brain, Scripted([HOME])).facts
        said = "As I said, I moved to Utrecht."
        exact = {**HOME, "text": "May lives in UTRECHT."}
        [fact] = remember(brain, Scripted([exact]), said).facts
        assert (fact.id, fact.status) == (old.id, "duplicate")
        other = {**HOME, "text": "May has her home in Utrecht", "same": 1}
        [fact] = remember(brain, Scripted([other]), "So I moved to Utrecht!").facts
        assert (fact.id, fact.status) == (old.id, "duplicate")
        assert facts(brain) == {HOME["text"]}

    def test_a_replacement_is_a_suggestion(self, brain: Brain) -> None:
        [old] = remember(brain, Scripted([{**HOME, "text": "May moved to Delft"}])).facts
        [new] = remember(brain, Scripted([{**CAT, "replaces": [1, 2, 99, -1]}]), f"Well: {SAID}").facts
        assert (new.supersedes, new.suggested) == ((), (old.id,))
        assert brain.get(old.id).superseded_by is None
        assert facts(brain) == {"May moved to Delft", CAT["text"]}

    def test_a_replacement_is_made_if_the_caller_wants_it(self, brain: Brain) -> None:
        needs(brain, "supersede")
        [old] = remember(brain, Scripted([{**HOME, "text": "May moved to Delft"}])).facts
        [new] = remember(
            brain, Scripted([{**HOME, "replaces": [1]}]), f"Well: {SAID}", supersede="auto"
        ).facts
        assert new.supersedes == (old.id,)
        assert brain.get(old.id).superseded_by == new.id
        assert facts(brain) == {HOME["text"]}

    def test_a_service_without_links_refuses_to_make_a_replacement(self, brain: Brain) -> None:
        lacks(brain, "supersede")
        with pytest.raises(Unsupported):
            remember(brain, Scripted([HOME]), supersede="auto")

    def test_no_memory_of_another_user_is_shown_or_touched(self, brain: Brain) -> None:
        hers = keep(brain, "Noor lives in Utrecht with her cat", scope=OTHER, type="fact")
        nobodys = keep(brain, "Somebody lives in Utrecht with a cat", type="fact")
        model = Scripted([{**HOME, "same": 1, "replaces": [1, 2]}])
        [fact] = remember(brain, model).facts
        assert (fact.status, fact.suggested) == ("created", ())
        assert "Noor" not in model.prompts[0]
        assert "Somebody" not in model.prompts[0]
        assert brain.get(hers).content == "Noor lives in Utrecht with her cat"
        assert brain.get(nobodys).content == "Somebody lives in Utrecht with a cat"

    def test_memories_of_nobody_are_apart_from_those_of_users(self, brain: Brain) -> None:
        keep(brain, "Noor lives in Utrecht with her cat", scope=OTHER, type="fact")
        model = Scripted([{**HOME, "same": 1}])
        assert [fact.status for fact in remember(brain, model, scope=Scope()).facts] == ["created"]
        assert "Noor" not in model.prompts[0]

    def test_facts_go_with_the_only_message_that_said_them(self, brain: Brain) -> None:
        needs(brain, "delete")
        first = remember(brain, Scripted([HOME, CAT]))
        second = remember(brain, Scripted([HOME]), "As I said, I moved to Utrecht.")
        assert brain.delete(str(first.raw[0].id), scope=MAY) == 1
        if brain.capabilities.update:
            assert facts(brain) == {HOME["text"]}
            assert "quote" not in brain.get(first.facts[0].id).metadata
        brain.delete(str(second.raw[0].id), scope=MAY)
        assert facts(brain) == set()

    def test_facts_stay_if_the_caller_wants_it(self, brain: Brain) -> None:
        needs(brain, "delete")
        result = remember(brain, Scripted([HOME]))
        brain.delete(str(result.raw[0].id), scope=MAY, keep_facts=True)
        assert facts(brain) == {HOME["text"]}

    def test_facts_are_forgotten_with_a_session(self, brain: Brain) -> None:
        needs(brain, "delete", "list")
        result = remember(brain, Scripted([HOME]))
        kept = remember(brain, Scripted([CAT]), scope=Scope(user="may", session="tuesday"))
        gone = {str(result.raw[0].id), result.facts[0].id}
        assert set(brain.forget(scope=MAY, dry_run=True).ids) == gone
        done = brain.forget(scope=MAY)
        assert (set(done.ids), done.count) == (gone, 2)
        assert listed(brain, scope=HER) == {str(kept.raw[0].id), kept.facts[0].id}

    def test_a_forced_call_asks_again_and_deletes_nothing(self, brain: Brain) -> None:
        needs(brain, "archive", "list", "update")
        first = remember(brain, Scripted([HOME, CAT]))
        second = remember(brain, Scripted([CAT]), force=True)
        assert [fact.status for fact in second.facts] == ["unchanged"]
        assert facts(brain) == {CAT["text"]}
        assert brain.get(first.facts[0].id).archived

    def test_facts_are_looked_for_in_the_background(self, brain: Brain) -> None:
        result = remember(brain, Scripted([HOME]), wait=False)
        assert (result.status, result.facts) == ("pending", ())
        assert brain.get(str(result.raw[0].id)).content == SAID
        [done] = brain.finish_background()
        assert [fact.content for fact in done.facts] == [HOME["text"]]
        assert brain.finish_background() == []

    def test_messages_of_a_chat_have_roles_ids_and_times(self, brain: Brain) -> None:
        chat = [
            {"role": "user", "content": SAID, "created_at": "2024-05-06T10:00:00Z"},
            {"role": "assistant", "content": [{"type": "text", "text": "Since when?"}]},
            {"role": "user", "content": "I got him yesterday", "created_at": "2024-05-07T10:00:00Z"},
        ]
        got = {"text": "May got Misha on 2024-05-06", "quote": "I got him yesterday", "from": 3}
        model = Scripted([got, {**HOME, "from": 2}, {**CAT, "from": 2}])
        result = remember(brain, model, chat)
        assert [fact.content for fact in result.facts] == [got["text"]]
        assert len({one.id for one in result.raw}) == 3
        assert result.facts[0].sources == (result.raw[2].id,)
        if brain.capabilities.created_at:
            assert str(brain.get(result.facts[0].id).created_at).startswith("2024-05-07")

    def test_a_memory_is_a_message_that_is_kept_already(self, brain: Brain) -> None:
        id = keep(brain, SAID, scope=MAY)
        result = remember(brain, Scripted([HOME]), brain.get(id))
        assert ([one.id for one in result.raw], [one.status for one in result.raw]) == ([id], ["unchanged"])
        assert result.facts[0].sources == (id,)
        with pytest.raises(OneBrainValidationError):
            remember(brain, Scripted([HOME]), brain.get(id), scope=OTHER)
