"""The service's own rules, which the operations share."""
