"""The hosted server keeps no past: it would answer with the present, so the client refuses before it asks."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from onebrain import OneBrain
from onebrain.errors import OneBrainValidationError, UnsupportedByServer


def test_a_server_without_a_past_is_not_asked_for_it(hosted):
    with OneBrain(hosted.key, base_url=hosted.url) as client:
        memory = client.memory.create("Maria prefers window seats")
        hosted.requests.clear()
        for ask in (
            lambda when: client.memory.get(memory.id, as_of=when),
            lambda when: client.memory.list(as_of=when),
        ):
            with pytest.raises(UnsupportedByServer, match="memories as they were"):
                ask(datetime.now(UTC))
            with pytest.raises(OneBrainValidationError, match="as_of"):
                ask("yesterday")
        assert {path for _, path, _ in hosted.requests} == {"/v1/capabilities"}
