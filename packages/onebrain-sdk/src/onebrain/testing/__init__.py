"""For tests: a brain in a dict, and the suite that proves a driver.

* `onebrain.testing.reference` has `reference_brain`, a complete `Brain` without a service, for the tests of whatever
  stands above a brain.
* `onebrain.testing.conformance` has `DriverConformance`, which proves any driver; it needs pytest.
* `onebrain.testing.report` has `Results`, which shows the outcome for several drivers as one table.
"""
