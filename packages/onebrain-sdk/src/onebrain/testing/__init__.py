"""Test helpers: a brain in a dict, and the conformance suite for drivers.

* `onebrain.testing.reference` has `reference_brain`, a complete `Brain` without a service, for tests of code that uses a
  brain.
* `onebrain.testing.conformance` has `DriverConformance`, a suite of tests for any driver; it needs pytest.
* `onebrain.testing.report` has `Results`, which shows the results of several drivers as one table.
"""
