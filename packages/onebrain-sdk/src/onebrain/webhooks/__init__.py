"""Checking that a webhook delivery was sent by the service that it claims to be from."""

from onebrain.webhooks._ai_memory import AiMemoryEvent, verify_ai_memory
from onebrain.webhooks._herobrain import HeroBrainEvent, verify_herobrain
from onebrain.webhooks._onebrain import OneBrainEvent, verify_onebrain
from onebrain.webhooks._rememberos import RememberOSEvent, verify_rememberos

__all__ = [
    "AiMemoryEvent",
    "HeroBrainEvent",
    "OneBrainEvent",
    "RememberOSEvent",
    "verify_ai_memory",
    "verify_herobrain",
    "verify_onebrain",
    "verify_rememberos",
]
