"""`OneBrainStore` does what LangGraph's own `InMemoryStore` does, whatever is done to both.

Where the two differ on purpose, the comparison leaves it out:

* An update keeps ``created_at`` here (as LangGraph's stores on databases do) and resets it there: times are not compared.
* A namespace without items is not listed here, and is there: only namespaces with items are compared.
* Items without a query come latest first here, in the order of their namespaces' first put there: compared as sets, and
  pages by their lengths.
* True equals 1 there, because it does in Python, and not here or in LangGraph's store on PostgreSQL: numbers and
  booleans never share a field.
* ``$gt`` and the like on a missing or textual field raise there and match nothing here: rows always hold the number.
* An object with None in a filter wants an object there, also an empty one: no such filters.
"""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test
from langgraph.store.base import GetOp, ListNamespacesOp, MatchCondition, PutOp, SearchOp
from langgraph.store.memory import InMemoryStore

import onebrain
from onebrain.testing.reference import reference_brain
from onebrain_langchain import OneBrainStore

LABELS = st.sampled_from(["a", "ab", "b", "user_1", "user_10", "userX1", "100%", "é", "*", "a b", "a\\"])
NAMESPACES = st.lists(LABELS, min_size=1, max_size=3).map(tuple)
PREFIXES = st.lists(LABELS, max_size=2).map(tuple)
KEYS = st.sampled_from(["k", "K", "k1", ".k", "k.", "", " ", "a.b", "%", "_", "\u0000x", "日本"])
NUMBERS = st.one_of(st.integers(-3, 3), st.sampled_from([0.5, 2.0]))
TEXTS = st.sampled_from(["", "x", "X", "yy", "1", "null"])
LEAVES = st.one_of(st.none(), TEXTS)
VALUES = st.fixed_dictionaries(
    {"n": NUMBERS},
    optional={
        "text": LEAVES,
        "list": st.lists(TEXTS, max_size=2),
        "deep": st.fixed_dictionaries({}, optional={"text": TEXTS, "list": st.lists(NUMBERS, max_size=2)}),
        "dotted.key": TEXTS,
    },
)
OPERATORS = st.sampled_from(["$eq", "$ne", "$gt", "$gte", "$lt", "$lte"])
FILTERS = st.fixed_dictionaries(
    {},
    optional={
        "n": st.one_of(NUMBERS, st.dictionaries(OPERATORS, NUMBERS, min_size=1, max_size=2)),
        "text": st.one_of(LEAVES, st.dictionaries(st.sampled_from(["$eq", "$ne"]), LEAVES, min_size=1)),
        "list": st.lists(TEXTS, max_size=2),
        "deep": st.fixed_dictionaries({"text": st.one_of(TEXTS, TEXTS.map(lambda text: {"$ne": text}))}),
        "dotted.key": TEXTS,
        "missing": st.one_of(st.none(), TEXTS),
    },
)
CONDITIONS = st.builds(
    MatchCondition,
    match_type=st.sampled_from(["prefix", "suffix"]),
    path=st.lists(LABELS, min_size=1, max_size=2).map(tuple),
)
PUTS = st.tuples(NAMESPACES, KEYS, st.one_of(st.none(), VALUES)).map(lambda parts: PutOp(*parts))
READS = st.one_of(
    st.tuples(NAMESPACES, KEYS).map(lambda parts: GetOp(*parts)),
    st.tuples(PREFIXES, st.one_of(st.none(), FILTERS)).map(lambda parts: SearchOp(*parts, limit=1000)),
)


def plain(result):
    """A result in a form that does not depend on times and order."""
    if isinstance(result, list):
        return sorted(map(plain, result), key=repr)
    return (
        None
        if result is None
        else (result.namespace, result.key, result.value, getattr(result, "score", None))
    )


class Machine(RuleBasedStateMachine):
    brain = staticmethod(reference_brain)

    def __init__(self):
        super().__init__()
        self.memory = self.brain()
        self.ours = OneBrainStore(brain=self.memory)
        self.theirs = InMemoryStore()
        self.filled = {}

    def teardown(self):
        self.memory.close()

    @rule(operations=st.lists(st.one_of(PUTS, PUTS, READS), min_size=1, max_size=8))
    def batch(self, operations):
        ours, theirs = self.ours.batch(operations), self.theirs.batch(operations)
        assert list(map(plain, ours)) == list(map(plain, theirs))
        for operation in operations:
            if isinstance(operation, PutOp):
                self.filled.setdefault(operation.namespace, {})[operation.key] = operation.value
        self.filled = {
            namespace: kept
            for namespace, items in self.filled.items()
            if (kept := {key: value for key, value in items.items() if value is not None})
        }

    @rule(prefix=PREFIXES, filter=FILTERS)
    def search(self, prefix, filter):
        ours = self.ours.search(prefix, filter=filter, limit=1000)
        assert plain(ours) == plain(self.theirs.search(prefix, filter=filter, limit=1000))

    @rule(prefix=PREFIXES, limit=st.integers(0, 4), offset=st.integers(0, 4))
    def page(self, prefix, limit, offset):
        ours = self.ours.search(prefix, limit=limit, offset=offset)
        assert len(ours) == len(self.theirs.search(prefix, limit=limit, offset=offset))

    @rule(
        conditions=st.lists(CONDITIONS, max_size=2).map(tuple),
        depth=st.one_of(st.none(), st.integers(1, 3)),
        limit=st.integers(0, 5),
        offset=st.integers(0, 2),
    )
    def namespaces(self, conditions, depth, limit, offset):
        (ours,) = self.ours.batch([ListNamespacesOp(conditions or None, depth, limit, offset)])
        # One that never held what is gone by now.
        clean = InMemoryStore()
        for namespace in self.filled:
            clean.put(namespace, "k", {})
        (theirs,) = clean.batch([ListNamespacesOp(conditions or None, depth, limit, offset)])
        assert ours == theirs

    @invariant()
    def holds_what_was_put_last(self):
        for namespace, items in self.filled.items():
            for key, value in items.items():
                assert self.ours.get(namespace, key).value == value


class EmbeddedMachine(Machine):
    brain = staticmethod(lambda: onebrain.connect("sqlite://"))


@pytest.mark.parametrize("machine", [Machine, EmbeddedMachine])
def test_random_operations_give_the_same_results(machine):
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=40, stateful_step_count=15, deadline=None, suppress_health_check=list(HealthCheck)
        ),
    )
