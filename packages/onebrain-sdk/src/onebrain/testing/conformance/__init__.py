"""The driver conformance suite: tests that a driver keeps the promises of `Brain`, sync and async.

The suite needs pytest (``pip install pytest``), which onebrain itself does not. A test file for a driver::

    import onebrain
    import pytest
    from onebrain.testing.conformance import DriverConformance


    class TestMyDriver(DriverConformance):
        @pytest.fixture
        def empty_brain(self):
            return onebrain.connect("mine://localhost/a-fresh-tenant")

Each test gets a brain of its own, once as a `Brain` and once as an `AsyncBrain` on the same driver. The driver's
`Capabilities` select the tests: a declared capability must work, and one that is not declared must be emulated or refused.
A skipped test names the missing capability. Filters are compared with `onebrain.memory.filters.memory_matches`.

`onebrain.testing.report.Results` shows the results of several drivers in one table.
"""

from __future__ import annotations

from onebrain.errors import MissingDependency

try:
    import pytest
except ImportError as error:  # pragma: no cover
    raise MissingDependency("the conformance suite needs pytest: pip install pytest") from error

# Without this, failing assertions in the suite do not show their values.
pytest.register_assert_rewrite(
    *(
        f"{__name__}.{module}"
        for module in (
            "changing",
            "contexts",
            "entities",
            "filtering",
            "listing",
            "remembering",
            "scoping",
            "searching",
            "sharing",
            "storing",
            "superseding",
            "vectors",
        )
    )
)

from onebrain.testing.conformance.changing import DeleteSuite, ForgetSuite, UpdateSuite  # noqa: E402
from onebrain.testing.conformance.contexts import ContextSuite  # noqa: E402
from onebrain.testing.conformance.entities import EntitySuite  # noqa: E402
from onebrain.testing.conformance.filtering import FilterSuite  # noqa: E402
from onebrain.testing.conformance.listing import GetSuite, ListSuite  # noqa: E402
from onebrain.testing.conformance.remembering import RememberSuite  # noqa: E402
from onebrain.testing.conformance.scoping import ScopeSuite  # noqa: E402
from onebrain.testing.conformance.searching import SearchSuite  # noqa: E402
from onebrain.testing.conformance.sharing import ErrorSuite, SharingSuite  # noqa: E402
from onebrain.testing.conformance.storing import StoreSuite  # noqa: E402
from onebrain.testing.conformance.suite import Suite, only  # noqa: E402
from onebrain.testing.conformance.superseding import SupersedeSuite  # noqa: E402
from onebrain.testing.conformance.vectors import VectorSuite  # noqa: E402

__all__ = ["DriverConformance", "Suite", "only"]


class DriverConformance(
    # pytest collects the tests of the last base first.
    ErrorSuite,
    SharingSuite,
    EntitySuite,
    RememberSuite,
    SupersedeSuite,
    ContextSuite,
    ForgetSuite,
    DeleteSuite,
    UpdateSuite,
    ScopeSuite,
    FilterSuite,
    VectorSuite,
    SearchSuite,
    ListSuite,
    GetSuite,
    StoreSuite,
):
    """Tests of every method of a brain on one driver; subclass it and override the fixture ``empty_brain``.

    Attributes:
        driver: Name of the driver in the table of results. The default is the name of the class.
    """
