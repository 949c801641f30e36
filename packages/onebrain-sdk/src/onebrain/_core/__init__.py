"""How every request is made: plans, the modes that drive them, retries, transports and pages."""
