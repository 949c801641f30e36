"""For tests: the driver conformance suite, and a small reference driver that defines right answers."""
