"""Ids: what users, conversations and memories may be called, and as which text they are kept."""

from __future__ import annotations

import asyncio
import enum
from uuid import UUID, uuid4

import numpy as np
import pytest

import onebrain
from onebrain import F, NewMemory, OneBrainValidationError, Scope
from onebrain.memory.checks import check_ids, check_new_ids, check_range, check_whole
from onebrain.memory.ids import as_id


class Word(enum.StrEnum):
    ONE = "one"


class Plain(enum.Enum):
    ONE = "one"


class Number(enum.IntEnum):
    SEVEN = 7


KNOWN = UUID("12345678-1234-5678-1234-567812345678")
TAKEN = [
    ("one", "one"),
    (" one ", " one "),
    (7, "7"),
    (-7, "-7"),
    (2**70, str(2**70)),
    (KNOWN, "12345678-1234-5678-1234-567812345678"),
    (Word.ONE, "one"),
    (Plain.ONE, "one"),
    (Number.SEVEN, "7"),
    (np.int64(7), "7"),
]
REFUSED = [True, False, 1.0, b"one", None, ["one"], {"id": 1}, np.bool_(True)]


@pytest.mark.parametrize(("given", "text"), TAKEN, ids=repr)
def test_what_frameworks_use_as_an_id_is_taken_everywhere(given, text):
    assert as_id(given) == text
    assert type(as_id(given)) is str
    assert Scope(user=given, session=given, space=given, agent=given) == Scope(text, text, text, text)
    assert NewMemory(content="tea", id=given).id == text
    with onebrain.connect("sqlite://") as brain:
        mine = Scope(user=given)
        assert brain.store("tea", id=given, scope=mine).id == text
        assert brain.get(given, scope=Scope(user=text)).id == text
        assert [memory.id for memory in brain.get_many([given], scope=mine)] == [text]
        assert brain.update(given, title="Tea", scope=mine).title == "Tea"
        assert brain.count(filter=F.id.eq(given) & F.user.in_([given])) == 1
        assert brain.store_many([{"content": "more", "scope": {"user": given}}]).raise_for_failures()
        assert brain.count(scope=mine) == 2
        assert brain.delete(given, scope=mine) == 1
        assert brain.delete([given], scope=mine) == 0


@pytest.mark.parametrize("wrong", REFUSED, ids=repr)
def test_what_is_no_id_is_refused_before_anything_is_done(wrong):
    with onebrain.connect("sqlite://") as brain:
        brain.store("tea", id="1")
        if wrong is not None:
            with pytest.raises(OneBrainValidationError, match="must be a string, a whole number or a UUID"):
                Scope(user=wrong)
            with pytest.raises(OneBrainValidationError):
                brain.store("tea", id=wrong)
            with pytest.raises(OneBrainValidationError):
                F.user.eq(wrong)
        for call in (
            lambda: brain.get(wrong),
            lambda: brain.get_many([wrong]),
            lambda: brain.update(wrong, title="Tea"),
            lambda: brain.delete([wrong]),
        ):
            with pytest.raises(OneBrainValidationError):
                call()
        assert brain.count() == 1


def test_ids_are_taken_in_async_code_too():
    user, id = uuid4(), uuid4()

    async def main():
        async with onebrain.connect_async("sqlite://") as brain:
            await brain.store("tea", id=id, scope=Scope(user=user))
            assert (await brain.get(id, scope=Scope(user=str(user)))).id == str(id)
            assert await brain.delete(id) == 1

    asyncio.run(main())


def test_a_list_of_ids_is_a_list():
    assert check_ids("ids", [1, KNOWN, "a"]) == ["1", str(KNOWN), "a"]
    assert check_ids("ids", (id for id in [1])) == ["1"]
    for wrong in ("ab", 7, KNOWN, None, b"ab"):
        with pytest.raises(OneBrainValidationError, match="list of ids"):
            check_ids("ids", wrong)


def test_two_new_ids_that_differ_do_not_become_one_in_silence():
    assert check_new_ids("ids", [1, None, "2", KNOWN]) == ["1", None, "2", str(KNOWN)]
    for pair in ([1, "1"], [KNOWN, str(KNOWN)]):
        with pytest.raises(OneBrainValidationError, match="one id"):
            check_new_ids("ids", pair)


def test_a_client_takes_every_kind_of_id():
    from onebrain._core.service import path

    assert path("/v1/memory/{}", KNOWN) == f"/v1/memory/{KNOWN}"
    assert path("/v1/memory/{}", 7) == "/v1/memory/7"
    for wrong in (True, None, 1.5, "", ".."):
        with pytest.raises(OneBrainValidationError, match="an id must be"):
            path("/v1/memory/{}", wrong)


@pytest.mark.parametrize("wrong", [-1, 1.5, 1.0, True, "3", None, float("nan"), [1]])
def test_a_number_of_results_is_a_whole_number(wrong):
    with onebrain.connect("sqlite://") as brain:
        for call in (brain.search, brain.context):
            with pytest.raises(OneBrainValidationError, match="limit: must be a whole number"):
                call("tea", limit=wrong)
        with pytest.raises(OneBrainValidationError, match="limit"):
            brain.page(limit="no" if wrong is None else wrong)
        with pytest.raises(OneBrainValidationError, match="limit"):
            list(brain.list(limit="no" if wrong is None else wrong))
        assert list(brain.list(limit=0)) == list(brain.search("tea", limit=0)) == []
    with pytest.raises(OneBrainValidationError, match="k: must be a whole number of at least 0"):
        check_whole("k", wrong)


def test_a_share_is_a_number_between_two():
    assert [check_range("share", value, 0, 1) for value in (0, 0.5, 1)] == [0, 0.5, 1]
    for wrong in (-0.1, 1.1, True, "0.5", None, float("nan")):
        with pytest.raises(OneBrainValidationError, match="share: must be"):
            check_range("share", wrong, 0, 1)
