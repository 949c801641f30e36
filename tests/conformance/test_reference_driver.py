"""The reference driver: with everything, it defines right answers; with less, the facade has to make up for it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest

from onebrain import Brain
from onebrain.memory.driver import ListRequest
from onebrain.testing.conformance import DriverConformance, only
from onebrain.testing.reference import REFERENCE, ReferenceDriver

pytest_plugins = ["pytester"]

WITHOUT_ORDERS = replace(REFERENCE, orders=frozenset())


class TestReference(DriverConformance):
    driver = "reference"

    @pytest.fixture
    def empty_brain(self):
        return Brain(ReferenceDriver())


class Emulated(DriverConformance):
    """In one colour: what the facade makes up for is written once, and the full drivers prove the colours."""

    api = only("sync")


class Filtering(Emulated):
    """Takes every filter and every scope as the reference driver does, and is asked for one in seven.

    TestReference is asked for all of them. Here the way from a filter or a scope to the driver is the same code; only the verb
    that is emulated differs. Every field and every operator are among one filter in seven.
    """

    one_filter_in = 7
    one_scope_in = 7


class _Plain:
    """Hides what is optional in the contract of a driver: `forget`, `count`, entities and links."""

    def __init__(self, driver: ReferenceDriver) -> None:
        self._driver = driver
        self.capabilities = replace(driver.capabilities, entities=False, supersede=False)
        for verb in ("transports", "store", "search", "get", "list", "update", "delete", "close"):
            setattr(self, verb, getattr(driver, verb))


class TestPlain(Filtering):
    """Only what every driver must have."""

    driver = "no forget, no count, no entities, no links"

    @pytest.fixture
    def empty_brain(self):
        return Brain(_Plain(ReferenceDriver()))


class TestWithoutFilters(Emulated):
    driver = "no filters"

    @pytest.fixture
    def empty_brain(self):
        return Brain(ReferenceDriver(replace(REFERENCE, filters={})))


class TestSomeFilters(Emulated):
    driver = "some filters, 'all' only"

    @pytest.fixture
    def empty_brain(self):
        some = {
            "*": frozenset({"eq", "in", "gt"}),
            "x": frozenset({"eq", "ge", "exists", "contains"}),
            "$tags": frozenset({"contains"}),
            "$created_at": frozenset({"ge", "lt"}),
        }
        return Brain(ReferenceDriver(replace(REFERENCE, filters=some, logic=frozenset({"all"}))))


class TestOneComparison(Emulated):
    driver = "one comparison at a time"

    @pytest.fixture
    def empty_brain(self):
        return Brain(ReferenceDriver(replace(REFERENCE, logic=frozenset())))


class TestSmallSearches(Filtering):
    driver = "search: 50 at most, no paging"

    @pytest.fixture
    def empty_brain(self):
        return Brain(ReferenceDriver(replace(REFERENCE, search_limit=50, search_offset=False)))


class TestSmallPages(Emulated):
    driver = "search: pages of 7, no filters"

    @pytest.fixture
    def empty_brain(self):
        return Brain(ReferenceDriver(replace(REFERENCE, search_limit=7, filters={})))


class _Unordered(ReferenceDriver):
    """Lists in no order that anybody declared."""

    def list(self, request: ListRequest, /):
        return super().list(replace(request, order="importance"))


class TestWithoutOrders(Filtering):
    driver = "no orders"

    @pytest.fixture
    def empty_brain(self):
        return Brain(_Unordered(WITHOUT_ORDERS))


class TestOneOrder(Emulated):
    driver = "newest first only, no filters"

    @pytest.fixture
    def empty_brain(self):
        only = replace(REFERENCE, orders=frozenset({"-created_at"}), filters={})
        return Brain(ReferenceDriver(only))


class TestOneByOne(Filtering):
    driver = "no batches, no ids"

    @pytest.fixture
    def empty_brain(self):
        return Brain(ReferenceDriver(replace(REFERENCE, batch_size=1, client_ids=False)))


class TestReadOnlyOnceStored(Filtering):
    driver = "no update, no delete"

    @pytest.fixture
    def empty_brain(self):
        return Brain(ReferenceDriver(replace(REFERENCE, update=False, delete=False)))


class TestWithoutLists(Filtering):
    driver = "no lists"

    @pytest.fixture
    def empty_brain(self):
        return Brain(ReferenceDriver(replace(REFERENCE, list=False)))


class TestBare(Emulated):
    """As little as a service can do and still be a memory."""

    driver = "bare"

    @pytest.fixture
    def empty_brain(self):
        bare = replace(
            REFERENCE,
            client_ids=False,
            update=False,
            created_at=False,
            expiry=False,
            archive=False,
            embeddings=False,
            tags=False,
            importance=False,
            modes=frozenset({"keyword"}),
            filters={},
            logic=frozenset(),
            orders=frozenset(),
            batch_size=1,
            content_limit=5000,
        )
        return Brain(ReferenceDriver(bare))


@pytest.fixture
def pytester(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> pytest.Pytester:
    """Pytest with no plugin that happens to be installed: loading them takes seconds."""
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    return pytester


def test_a_skip_names_what_the_driver_declares(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(_file("replace(REFERENCE, update=False)"))
    result = pytester.runpytest_inprocess("-rs", "-k", "test_tags_are_replaced")
    result.assert_outcomes(skipped=2)
    result.stdout.fnmatch_lines(["*reference declares update=False*"])


def test_a_driver_that_breaks_its_word_fails(pytester: pytest.Pytester) -> None:
    source = _file("REFERENCE").replace(
        "ReferenceDriver(",
        "Forgetful(",
    )
    broken = """
class Forgetful(ReferenceDriver):
    def delete(self, ids, scope, /):
        return super().delete(ids, Scope())
"""
    pytester.makepyfile(source.replace("\nclass Test", broken + "\nclass Test"))
    result = pytester.runpytest_inprocess("-k", "cannot_be_got_changed_or_deleted")
    result.assert_outcomes(failed=8)


def _file(capabilities: str) -> str:
    lines: Sequence[str] = (
        "from dataclasses import replace",
        "import pytest",
        "from onebrain import Brain, Scope",
        "from onebrain.testing.conformance import DriverConformance",
        "from onebrain.testing.reference import REFERENCE, ReferenceDriver",
        "",
        "class TestMine(DriverConformance):",
        "    @pytest.fixture",
        "    def empty_brain(self):",
        f"        return Brain(ReferenceDriver({capabilities}))",
    )
    return "\n".join(lines) + "\n"
