"""Typed clients of the services, one package each."""
