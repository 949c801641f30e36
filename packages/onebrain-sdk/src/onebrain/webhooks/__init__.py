"""Checking that a webhook delivery was sent by the service that it claims to be from."""

from onebrain.webhooks._rememberos import RememberOSEvent, verify_rememberos

__all__ = ["RememberOSEvent", "verify_rememberos"]
