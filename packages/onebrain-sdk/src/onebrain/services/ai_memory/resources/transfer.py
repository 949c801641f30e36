"""Export and import of whole memories and their links."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from onebrain._core.batches import Batches
from onebrain._core.codec import is_object
from onebrain._core.endpoint import endpoint
from onebrain._core.service import GET, Spec
from onebrain._core.steps import Mode, Steps
from onebrain.errors import OneBrainError
from onebrain.services.ai_memory import service as rules
from onebrain.services.ai_memory.fields import (
    check_row,
    partly,
)
from onebrain.services.ai_memory.models import (
    Export,
    ImportResponse,
    Link,
    Memory,
)
from onebrain.services.ai_memory.service import Resource


class Transfer(Resource[Mode]):
    """Whole memories and links, out and in."""

    @endpoint
    def export(self) -> Steps[Export]:
        """Return every live memory and every link, in one answer, without archived memories."""
        return (yield from self._ask(Export, GET("/api/v1/export")))

    @endpoint
    def import_(
        self,
        memories: Export | Mapping[str, Any] | Iterable[Memory | Mapping[str, Any]],
        links: Iterable[Link | Mapping[str, Any]] | None = None,
    ) -> Steps[ImportResponse]:
        """Write whole memories, ids and times included, in requests of at most 1000 rows and 2 MB.

        Takes the result of `export`, or memories and links. A memory whose title exists in its namespace is merged
        with the older one and takes its id; links to the id that got lost are dropped by the daemon.

        Raises:
            OneBrainError: A request failed; ``details["written"]`` has the rows of earlier requests.
        """
        given, given_links = _import_parts(memories, links)
        for position, row in enumerate(given):
            check_row(position, row, ("id", "title", "content"))
        imported, errors, requests, rows = 0, list[str](), 0, 0

        def described(error: OneBrainError) -> OneBrainError:
            written = {"imported": imported, "errors": errors, "requests": requests, "rows": rows}
            return partly(error, written, batches.size, len(given) + len(given_links))

        # Links come last, when both of their ends are there.
        for kind, items in (("memories", given), ("links", given_links)):
            batches = Batches(items, rules.MOST_ROWS, self._service.byte_limit)
            for chunk in batches:
                body = {"memories": [], kind: list(chunk)}
                spec = Spec("POST", "/api/v1/import", body=body, safe=True)
                with batches.attempt(described):
                    part = yield from self._ask(ImportResponse, spec)
                    imported += part.imported
                    errors.extend(part.errors)
                    requests += 1
                    rows += len(chunk)
        return ImportResponse(imported=imported, errors=tuple(errors), requests=requests)


def _import_parts(memories: Any, links: Any) -> tuple[list[Any], list[Any]]:
    """Return the rows of memories and of links, from an export, its JSON, or lists."""
    if isinstance(memories, Export):
        memories, links = memories.memories, (memories.links if links is None else links)
    elif is_object(memories):
        given = memories
        if "memories" not in given:
            raise rules.invalid("import_: a dict needs the key 'memories', as an export has it")
        memories, links = given["memories"], (given.get("links") if links is None else links)
    rows = [
        memory.model_dump(mode="json", exclude_none=True, exclude={"score"})
        if isinstance(memory, Memory)
        else dict(memory)
        for memory in memories
    ]
    given_links = [
        link.model_dump(mode="json", exclude_none=True) if isinstance(link, Link) else dict(link)
        for link in links or ()
    ]
    return rows, given_links
