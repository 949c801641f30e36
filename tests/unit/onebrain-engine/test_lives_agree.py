"""Whatever is stored, replaced, changed and removed, the engine's answers about time are those of the reference."""

from __future__ import annotations

import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import ClassVar

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

import onebrain
from onebrain import F, Scope
from onebrain.errors import OneBrainError
from onebrain.testing.reference import reference_brain

DAYS = [datetime(2021, 1, 1, tzinfo=UTC) + timedelta(days=day) for day in range(6)]
# The present lies between them: a plan begins later.
LATER = datetime(2200, 1, 1, tzinfo=UTC)
MOMENTS = st.sampled_from(DAYS)
IDS = st.sampled_from([f"id-{number}" for number in range(6)])
# One for each id, so that a search for it tells which memory stands for which.
WORDS = ["harbour", "bakery", "glacier", "violin", "marathon", "boiler"]
USERS = st.sampled_from(["ewa", "ewa", "ewa", "olek"])


class Lives(RuleBasedStateMachine):
    """The same changes to two brains on one database and to the reference; both brains answer like the reference."""

    def url(self) -> str:
        self.folder = tempfile.TemporaryDirectory()
        return f"sqlite:///{Path(self.folder.name) / 'brain.db'}"

    @initialize()
    def begin(self) -> None:
        url = self.url()
        options = {"embedder": None} | self.options
        self.brains = [onebrain.connect(url, **options), onebrain.connect(url, **options)]
        self.model = reference_brain()
        self.turn = 0
        self.moments: list[datetime] = []
        for number, word in enumerate(WORDS):
            self.both(
                lambda brain, number=number, word=word: brain.store(
                    f"apple {word}",
                    id=f"id-{number}",
                    scope=Scope(user="ewa"),
                    created_at=DAYS[number % len(DAYS)],
                    metadata={"n": number},
                )
            )

    options: ClassVar[dict[str, object]] = {}

    def both(self, change) -> None:
        """Make a change in one of the brains, in turn, and in the reference; they agree about whether it is an error."""
        self.turn += 1
        outcomes = []
        for brain in (self.brains[self.turn % 2], self.model):
            try:
                change(brain)
            except OneBrainError as error:
                outcomes.append(type(error))
            else:
                outcomes.append(None)
        assert outcomes[0] == outcomes[1]
        # A moment that no change happens in.
        self.moments.append(datetime.now(UTC) + timedelta(microseconds=1))
        while datetime.now(UTC) <= self.moments[-1]:
            pass

    @rule(
        id=IDS,
        user=USERS,
        created=MOMENTS | st.just(LATER),
        begins=st.none() | MOMENTS | st.just(LATER),
        ends=st.none() | MOMENTS,
        olds=st.lists(IDS, max_size=2),
        session=st.sampled_from([None, "one"]),
    )
    def store(self, id, user, created, begins, ends, olds, session) -> None:
        self.both(
            lambda brain: brain.store(
                f"apple {WORDS[int(id[-1])]}",
                id=id,
                scope=Scope(user=user, session=session),
                created_at=created,
                valid_from=begins,
                valid_until=ends,
                supersedes=olds,
                metadata={"n": int(id[-1])},
            )
        )

    @rule(id=IDS, user=USERS, olds=st.lists(IDS, max_size=2), begins=st.none() | MOMENTS)
    def update(self, id, user, olds, begins) -> None:
        self.both(lambda brain: brain.update(id, scope=Scope(user=user), supersedes=olds, valid_from=begins))

    @rule(id=IDS, user=USERS, created=MOMENTS | st.just(LATER))
    def made_at_another_time(self, id, user, created) -> None:
        self.both(lambda brain: brain.update(id, scope=Scope(user=user), created_at=created))

    @rule(id=IDS, user=USERS)
    def expires(self, id, user) -> None:
        self.both(
            lambda brain: brain.update(
                id, scope=Scope(user=user), expires_at=datetime(2001, 1, 1, tzinfo=UTC)
            )
        )

    @rule(ids=st.lists(IDS, min_size=1, max_size=3), user=USERS)
    def delete(self, ids, user) -> None:
        self.both(lambda brain: brain.delete(ids, scope=Scope(user=user)))

    @rule(number=st.integers(0, 5))
    def forget(self, number) -> None:
        self.both(lambda brain: brain.forget(filter=F("n").eq(number)))

    @invariant()
    def the_answers_are_those_of_the_reference(self) -> None:
        if not hasattr(self, "brains"):
            return
        earlier = self.moments[len(self.moments) // 2]
        expected = answers(self.model, earlier, self.turn)
        for brain in self.brains:
            assert answers(brain, earlier, self.turn) == expected

    def teardown(self) -> None:
        if hasattr(self, "brains"):
            for brain in self.brains:
                brain.close()
        if hasattr(self, "folder"):
            self.folder.cleanup()


# What a caller can ask for: a scope, a moment, and whether superseded memories are shown.
ASKED = [
    {"scope": scope, "at": at, "include_superseded": superseded}
    for superseded in (False, True)
    for scope in (Scope(), Scope(user="ewa"), Scope(user="ewa", session="one"))
    for at in (None, DAYS[0], DAYS[3])
]


def answers(brain: onebrain.Brain, earlier: datetime, turn: int) -> list[object]:
    """Return what a caller sees of time and links: a quarter of it each turn, and all of it in four turns."""
    seen: list[object] = []
    # Of 18, every fourth: each turn asks with all scopes and all moments.
    for how in ASKED[turn % 4 :: 4]:
        rows = list(brain.list(order="sequence", **how))
        seen.append(
            [
                (row.id, row.valid_from, row.valid_until, sorted(row.supersedes), row.superseded_by)
                for row in rows
            ]
        )
        seen.append(brain.count(**how))
        seen.append(sorted(hit.id for hit in brain.search("apple", mode="keyword", limit=50, **how)))
        seen.append(sorted(row.id for row in brain.list(filter=F("n").ge(3), **how)))
        seen.append([row.id for row in brain.page(order="-created_at", limit=2, **how).data])
    for at in (None, DAYS[3]):
        for word in WORDS[turn % 2 :: 2]:
            hits = brain.search(word, mode="keyword", scope=Scope(user="ewa"), at=at)
            seen.append(sorted(hit.id for hit in hits))
    for at in (None, DAYS[3]):
        rows = list(brain.list(order="sequence", at=at, as_of=earlier))
        seen.append([(row.id, sorted(row.supersedes), row.superseded_by) for row in rows])
        hits = brain.search("apple bakery", mode="keyword", limit=50, at=at, as_of=earlier)
        seen.append((sorted(hit.id for hit in hits), brain.count(at=at, as_of=earlier)))
    for number in range(turn % 2, len(WORDS), 2):
        try:
            seen.append([row.id for row in brain.history(f"id-{number}", scope=Scope(user="ewa"))])
        except OneBrainError as error:
            seen.append(type(error))
    return seen


TestLives = Lives.TestCase
TestLives.settings = settings(
    max_examples=10, stateful_step_count=15, deadline=None, suppress_health_check=list(HealthCheck)
)


@pytest.mark.parametrize("kind", ["plain", "large"])
def test_a_database_answers_like_the_reference(postgres, kind):
    class OnPostgres(Lives):
        options = {"large_space": 0} if kind == "large" else {}

        def url(self) -> str:
            return postgres.new_database()

    from hypothesis.stateful import run_state_machine_as_test

    run_state_machine_as_test(
        OnPostgres,
        settings=settings(
            max_examples=4, stateful_step_count=12, deadline=None, suppress_health_check=list(HealthCheck)
        ),
    )


@pytest.mark.parametrize(
    "open_brain", [lambda: onebrain.connect("sqlite://", embedder=None), reference_brain]
)
def test_links_that_are_given_anew_are_in_their_new_order(open_brain):
    with open_brain() as brain:
        for id in ("one", "two"):
            brain.store(id, id=id)
        brain.store("three", id="three", supersedes=["two"])
        brain.store("three", id="three", supersedes=["one", "two"])
        assert brain.get("three").supersedes == ("one", "two")
