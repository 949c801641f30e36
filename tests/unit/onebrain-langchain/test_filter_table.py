"""The filters that users of LangChain's PostgreSQL stores write, as a table: which documents each of them finds."""

from __future__ import annotations

import pytest
from langchain_core.documents import Document

import onebrain
from onebrain import OneBrainValidationError
from onebrain_langchain import OneBrainVectorStore

BOATS = {
    "gull": {
        "name": "Gull",
        "berth": 1,
        "hired": True,
        "length": 7.5,
        "built": "1998-04-01",
        "crew": ["Ana", "Rui"],
        "rig": {"sail": "lug", "masts": 2},
        "rating": 0.9,
        "weight": 1.2,
    },
    "heron": {
        "name": "Heron",
        "berth": 2,
        "hired": False,
        "length": 11.25,
        "built": "2004-09-15",
        "crew": ["Rui", "Eva"],
        "rating": 0.8,
        "weight": 3.1,
    },
    "teal": {
        "name": "Teal",
        "berth": 3,
        "hired": True,
        "length": 5.0,
        "built": "1998-04-01",
        "crew": [],
        "rating": None,
    },
}
EVERY = set(BOATS)


@pytest.fixture(scope="module")
def store():
    with onebrain.connect("sqlite://") as brain:
        store = OneBrainVectorStore(brain=brain, space="boats")
        store.add_documents(
            [Document(f"a boat named {id}", id=id, metadata=metadata) for id, metadata in BOATS.items()]
        )
        yield store


@pytest.mark.parametrize(
    ("condition", "found"),
    [
        # equality
        ({"berth": 1}, {"gull"}),
        ({"name": "Heron"}, {"heron"}),
        ({"hired": True}, {"gull", "teal"}),
        ({"hired": False}, {"heron"}),
        ({"berth": 1, "hired": True}, {"gull"}),
        ({"berth": 1, "hired": False}, set()),
        ({"name": {"$eq": "Gull"}}, {"gull"}),
        ({"hired": {"$eq": True}}, {"gull", "teal"}),
        ({"rating": None}, {"teal"}),
        ({"rating": {"$eq": None}}, {"teal"}),
        ({"weight": None}, {"teal"}),
        ({"name": {"$ne": "Gull"}}, {"heron", "teal"}),
        ({"berth": {"$ne": 1}}, {"heron", "teal"}),
        ({"hired": {"$ne": True}}, {"heron"}),
        ({"weight": {"$ne": 1.2}}, {"heron", "teal"}),
        ({"rating": {"$ne": None}}, {"gull", "heron"}),
        # order
        ({"berth": {"$gt": 1}}, {"heron", "teal"}),
        ({"berth": {"$gte": 1}}, EVERY),
        ({"berth": {"$lt": 1}}, set()),
        ({"berth": {"$lte": 1}}, {"gull"}),
        ({"name": {"$gt": "Teal"}}, set()),
        ({"name": {"$gte": "Teal"}}, {"teal"}),
        ({"name": {"$lt": "Teal"}}, {"gull", "heron"}),
        ({"name": {"$lte": "Teal"}}, EVERY),
        ({"length": {"$gt": 7.0}}, {"gull", "heron"}),
        ({"length": {"$lte": 7.5}}, {"gull", "teal"}),
        ({"rating": {"$lt": 1}}, {"gull", "heron"}),
        ({"built": {"$gt": "2000-01-01"}}, {"heron"}),
        # combinations
        ({"$or": [{"berth": 1}, {"berth": 2}]}, {"gull", "heron"}),
        ({"$or": [{"berth": 1}, {"name": "Heron"}]}, {"gull", "heron"}),
        ({"$and": [{"berth": 1}, {"berth": 2}]}, set()),
        ({"$and": [{"hired": True}, {"$or": [{"berth": 2}, {"berth": 3}]}]}, {"teal"}),
        ({"$or": [{"$and": [{"berth": 1}, {"hired": True}]}, {"name": {"$like": "T%"}}]}, {"gull", "teal"}),
        ({"$or": [{"berth": 1}]}, {"gull"}),
        ({"$not": {"berth": 1}}, {"heron", "teal"}),
        ({"$not": [{"berth": 1}]}, {"heron", "teal"}),
        ({"$not": [{"berth": 1}, {"berth": 2}]}, {"teal"}),
        ({"$not": ({"berth": 1}, {"berth": 2})}, {"teal"}),
        ({"$not": {"berth": 1, "hired": True}}, {"heron", "teal"}),
        ({"$not": {"hired": True}}, {"heron"}),
        ({"$not": [{"hired": True}]}, {"heron"}),
        ({"$not": {"length": {"$gt": 7.0}}}, {"teal"}),
        ({"$not": [{"length": {"$gt": 7.0}}]}, {"teal"}),
        ({"$not": {"$not": {"berth": 1}}}, {"gull"}),
        ({"berth": {"$not": {"$gt": 1}}}, {"gull"}),
        ({"berth": {"$not": [{"$lt": 2}, {"$gt": 2}]}}, {"heron"}),
        ({"$and": [{"$not": [{"berth": 1}]}, {"$not": {"berth": 2}}]}, {"teal"}),
        ({"$nor": [{"berth": 1}, {"hired": False}]}, {"teal"}),
        # ranges and lists
        ({"berth": {"$between": (1, 2)}}, {"gull", "heron"}),
        ({"berth": {"$between": [1, 1]}}, {"gull"}),
        ({"berth": {"$between": (3, 1)}}, set()),
        ({"length": {"$between": (5, 7.5)}}, {"gull", "teal"}),
        ({"name": {"$between": ("Gull", "Heron")}}, {"gull", "heron"}),
        ({"built": {"$between": ("1998-04-01", "1998-12-31")}}, {"gull", "teal"}),
        ({"$not": {"berth": {"$between": (1, 2)}}}, {"teal"}),
        ({"weight": {"$between": (0, 10)}}, {"gull", "heron"}),
        ({"name": {"$in": ["Gull", "Heron"]}}, {"gull", "heron"}),
        ({"berth": {"$in": [1, 2]}}, {"gull", "heron"}),
        ({"name": {"$in": []}}, set()),
        ({"name": {"$nin": ["Gull", "Heron"]}}, {"teal"}),
        ({"berth": {"$nin": [1, 2]}}, {"teal"}),
        ({"name": {"$nin": []}}, EVERY),
        ({"weight": {"$nin": [1.2]}}, {"heron", "teal"}),
        # patterns
        ({"name": {"$like": "G%"}}, {"gull"}),
        ({"name": {"$like": "g%"}}, set()),
        ({"name": {"$like": "%e%"}}, {"heron", "teal"}),
        ({"name": {"$like": "%l"}}, {"gull", "teal"}),
        ({"name": {"$like": "_e%"}}, {"heron", "teal"}),
        ({"name": {"$like": "____"}}, {"gull", "teal"}),
        ({"name": {"$like": "Gull"}}, {"gull"}),
        ({"name": {"$like": "ul"}}, set()),
        ({"name": {"$like": "G\\%"}}, set()),
        ({"name": {"$ilike": "g%"}}, {"gull"}),
        ({"name": {"$ilike": "%E_L"}}, {"teal"}),
        ({"berth": {"$like": "1"}}, set()),
        ({"missing": {"$like": "%"}}, set()),
        ({"$not": {"name": {"$like": "G%"}}}, {"heron", "teal"}),
        ({"$or": [{"name": {"$like": "G%"}}, {"name": {"$ilike": "h%"}}]}, {"gull", "heron"}),
        # presence
        ({"rating": {"$exists": True}}, EVERY),
        ({"rating": {"$exists": False}}, set()),
        ({"weight": {"$exists": True}}, {"gull", "heron"}),
        ({"weight": {"$exists": False}}, {"teal"}),
        # paths
        ({"rig.sail": "lug"}, {"gull"}),
        ({"rig.masts": {"$between": (1, 2)}}, {"gull"}),
        ({"rig.sail": {"$exists": False}}, {"heron", "teal"}),
    ],
    ids=lambda value: repr(sorted(value) if isinstance(value, set) else value),
)
def test_a_filter_finds_what_it_says(store, condition, found):
    documents = store.similarity_search("boat", k=10, filter=condition)
    assert {document.id for document in documents} == found


@pytest.mark.parametrize(
    "wrong",
    [
        {"$and": {"hired": True}},
        {"$and": {}},
        {"$and": []},
        {"$or": []},
        {"$not": True},
        {"$not": []},
        {"$not": None},
        {"$not": [{"berth": 1}, None]},
        {"hired": {"$and": True}},
        {"berth": {"$between": 1}},
        {"berth": {"$between": (1,)}},
        {"berth": {"$between": (1, "b")}},
        {"berth": {"$in": 1}},
        {"rating": {"$exists": "yes"}},
        {"name": {"$like": 7}},
        {"name": {"$regex": "G"}},
    ],
    ids=lambda value: repr(sorted(value) if isinstance(value, set) else value),
)
def test_a_filter_that_says_nothing_is_refused(store, wrong):
    with pytest.raises(OneBrainValidationError):
        store.similarity_search("boat", filter=wrong)
    with pytest.raises(OneBrainValidationError):
        store.delete(filter=wrong)
    assert len(store.similarity_search("boat", k=10)) == len(BOATS)
