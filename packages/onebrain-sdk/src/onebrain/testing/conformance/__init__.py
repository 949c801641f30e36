"""The driver conformance suite: it proves that a driver keeps the promises of `Brain`, in both colours.

It needs pytest, which onebrain itself does not: ``pip install pytest``. A test file for a driver is this long::

    import onebrain
    import pytest
    from onebrain.testing.conformance import DriverConformance


    class TestMyDriver(DriverConformance):
        @pytest.fixture
        def empty_brain(self):
            return onebrain.connect("mine://localhost/a-fresh-tenant")

Each test gets a brain of its own, once as a `Brain` and once as an `AsyncBrain` on the same driver. What runs is
decided by the driver's `Capabilities`: what it declares must work, what it does not declare must be emulated or
refused, and a skipped test names the capability that is missing. Filters are measured against
`onebrain.memory.filters.memory_matches`.

To see the outcome of several drivers side by side, collect it with `onebrain.testing.report.Results`.
"""

from __future__ import annotations

from onebrain.errors import MissingDependency

try:
    import pytest
except ImportError as error:  # pragma: no cover
    raise MissingDependency("the conformance suite needs pytest: pip install pytest") from error

# Failing assertions in the suite show their values, as those of a test file do.
pytest.register_assert_rewrite(
    *(
        f"{__name__}.{module}"
        for module in (
            "changing",
            "contexts",
            "entities",
            "filtering",
            "listing",
            "scoping",
            "searching",
            "sharing",
            "storing",
            "vectors",
        )
    )
)

from onebrain.testing.conformance.changing import DeleteSuite, ForgetSuite, UpdateSuite  # noqa: E402
from onebrain.testing.conformance.contexts import ContextSuite  # noqa: E402
from onebrain.testing.conformance.entities import EntitySuite  # noqa: E402
from onebrain.testing.conformance.filtering import FilterSuite  # noqa: E402
from onebrain.testing.conformance.listing import GetSuite, ListSuite  # noqa: E402
from onebrain.testing.conformance.scoping import ScopeSuite  # noqa: E402
from onebrain.testing.conformance.searching import SearchSuite  # noqa: E402
from onebrain.testing.conformance.sharing import ErrorSuite, SharingSuite  # noqa: E402
from onebrain.testing.conformance.storing import StoreSuite  # noqa: E402
from onebrain.testing.conformance.suite import Suite, only  # noqa: E402
from onebrain.testing.conformance.vectors import VectorSuite  # noqa: E402

__all__ = ["DriverConformance", "Suite", "only"]


class DriverConformance(
    # pytest runs the tests of the last base first.
    ErrorSuite,
    SharingSuite,
    EntitySuite,
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
    """Every verb of a brain on one driver; subclass it and override the fixture ``empty_brain``.

    Attributes:
        driver: The driver's name in the table of results; the default is the class's name.
    """
