"""API keys."""

from __future__ import annotations

from onebrain._core.endpoint import endpoint
from onebrain._core.service import DELETE, path
from onebrain._core.steps import Coloured, Mode, Steps
from onebrain.services.brrain.service import BrrainService


class Keys(Coloured[Mode]):
    """The vault's API keys; making them is for the dashboard."""

    def __init__(self, mode: Mode, service: BrrainService) -> None:
        super().__init__(mode)
        self._service = service

    @endpoint
    def revoke(self, key_id: str) -> Steps[None]:
        """Revoke a key by its id; it is refused (401) from then on. Needs an admin key."""
        yield from self._service.ask(DELETE(path("/auth/keys/{}", key_id)))
