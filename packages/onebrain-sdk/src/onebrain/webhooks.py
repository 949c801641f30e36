"""Checking that a webhook delivery was sent by the service that it claims to be from."""

from onebrain.services.ai_memory.webhooks import AiMemoryEvent, verify_ai_memory
from onebrain.services.herobrain.webhooks import HeroBrainEvent, verify_herobrain
from onebrain.services.onebrain.webhooks import OneBrainEvent, verify_onebrain
from onebrain.services.rememberos.webhooks import RememberOSEvent, verify_rememberos

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
