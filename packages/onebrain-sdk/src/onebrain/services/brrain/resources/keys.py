"""API keys."""

from __future__ import annotations

from onebrain._core.endpoint import endpoint
from onebrain._core.service import DELETE, path
from onebrain._core.steps import Mode, Steps
from onebrain.services.brrain.service import Resource


class Keys(Resource[Mode]):
    """The vault's API keys; making them is for the dashboard."""

    @endpoint
    def revoke(self, key_id: str) -> Steps[None]:
        """Revoke a key by its id; it is refused (401) from then on. Needs an admin key."""
        yield from self._service.ask(DELETE(path("/auth/keys/{}", key_id)))
