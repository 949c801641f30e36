"""`OneBrainKVStore`: a key-value store in a brain, for LlamaIndex's document store, index store and ingestion cache."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, cast

from llama_index.core.storage.kvstore.types import DEFAULT_BATCH_SIZE, DEFAULT_COLLECTION, BaseKVStore
from pydantic import SecretStr

from onebrain import Memory, NewMemory, OneBrainValidationError
from onebrain.memory.capabilities import Capabilities
from onebrain_llamaindex.connection import AnyBrain, Connection, ScopeLike, as_scope, in_space
from onebrain_llamaindex.filters import RESERVED, own
from onebrain_llamaindex.ids import encode, new_memory, store, with_ids
from onebrain_llamaindex.steps import Steps, ask

DEFAULT_SPACE = "llamaindex-kv"


class OneBrainKVStore(BaseKVStore):
    """Keeps JSON objects under keys, in collections, beside the memories of the same brain.

    Entries are archived where the service can do that, so searches and contexts do not meet them. All pairs of one
    ``put_all`` go in batches as large as the service takes, whatever its `batch_size` says.

    Args:
        brain: A `Brain`, an `AsyncBrain`, or both as a pair.
        url: Where to connect instead, as for `onebrain.connect`.
        api_key: The service's key.
        base_url: OneBrain's address, as an alternative to `url`.
        scope: Whose entries, and where; the default space is "llamaindex-kv".

    Example:
        >>> from llama_index.core.schema import TextNode
        >>> from llama_index.core.storage.docstore.keyval_docstore import KVDocumentStore
        >>> store = OneBrainKVStore(url="sqlite://")
        >>> docstore = KVDocumentStore(store)
        >>> docstore.add_documents([TextNode(text="Maria prefers window seats", id_="seat")])
        >>> docstore.get_document("seat").text
        'Maria prefers window seats'
        >>> store.close()
    """

    def __init__(
        self,
        *,
        brain: AnyBrain | None = None,
        url: str | None = None,
        api_key: SecretStr | str | None = None,
        base_url: str | None = None,
        scope: ScopeLike | None = None,
    ) -> None:
        self._connection = Connection(brain, url=url, api_key=api_key, base_url=base_url)
        self._scope = in_space(as_scope(scope), None, DEFAULT_SPACE)

    def __repr__(self) -> str:
        where = repr(self._connection)
        return f"{type(self).__name__}({where + ', ' if where else ''}scope={self._scope!r})"

    def put(self, key: str, val: dict[str, Any], collection: str = DEFAULT_COLLECTION) -> None:
        """Store `val`, a JSON object, under `key`, replacing what is there."""
        self._connection.run(self._put([(key, val)], collection))

    async def aput(self, key: str, val: dict[str, Any], collection: str = DEFAULT_COLLECTION) -> None:
        """Store `val`, a JSON object, under `key`, replacing what is there."""
        await self._connection.arun(self._put([(key, val)], collection))

    def put_all(
        self,
        kv_pairs: list[tuple[str, dict[str, Any]]],
        collection: str = DEFAULT_COLLECTION,
        batch_size: int = DEFAULT_BATCH_SIZE,
    ) -> None:
        """Store all pairs; of two with the same key the last one stays."""
        self._connection.run(self._put(kv_pairs, collection))

    async def aput_all(
        self,
        kv_pairs: list[tuple[str, dict[str, Any]]],
        collection: str = DEFAULT_COLLECTION,
        batch_size: int = DEFAULT_BATCH_SIZE,
    ) -> None:
        """Store all pairs; of two with the same key the last one stays."""
        await self._connection.arun(self._put(kv_pairs, collection))

    def get(self, key: str, collection: str = DEFAULT_COLLECTION) -> dict[str, Any] | None:
        """Return what is stored under `key`, or None."""
        return self._connection.run(self._get(key, collection))

    async def aget(self, key: str, collection: str = DEFAULT_COLLECTION) -> dict[str, Any] | None:
        """Return what is stored under `key`, or None."""
        return await self._connection.arun(self._get(key, collection))

    def get_all(self, collection: str = DEFAULT_COLLECTION) -> dict[str, dict[str, Any]]:
        """Return everything in `collection` by its key, in the order of first storing."""
        return self._connection.run(self._get_all(collection))

    async def aget_all(self, collection: str = DEFAULT_COLLECTION) -> dict[str, dict[str, Any]]:
        """Return everything in `collection` by its key, in the order of first storing."""
        return await self._connection.arun(self._get_all(collection))

    def delete(self, key: str, collection: str = DEFAULT_COLLECTION) -> bool:
        """Remove `key`; return whether it was there."""
        return self._connection.run(self._delete(key, collection))

    async def adelete(self, key: str, collection: str = DEFAULT_COLLECTION) -> bool:
        """Remove `key`; return whether it was there."""
        return await self._connection.arun(self._delete(key, collection))

    def close(self) -> None:
        """Close what this store opened; a brain that was given stays open."""
        self._connection.close()

    async def aclose(self) -> None:
        """Close what this store opened; a brain that was given stays open."""
        await self._connection.aclose()

    def _put(self, pairs: Sequence[tuple[str, dict[str, Any]]], collection: str) -> Steps[None]:
        can: Capabilities = yield ask("capabilities")
        yield from store([self._entry(key, value, collection, can) for key, value in pairs], self._scope)

    def _entry(self, key: str, value: dict[str, Any], collection: str, can: Capabilities) -> NewMemory:
        try:
            # As text, so that every service gives back exactly this object.
            text = json.dumps(value, ensure_ascii=False)
        except (TypeError, ValueError) as error:
            raise OneBrainValidationError(
                f"the value of {key!r:.80} is not JSON: {type(error).__name__}"
            ) from None
        return new_memory(
            id=encode(self._scope, collection, key),
            content=f"{collection}/{key}",
            scope=self._scope,
            metadata={RESERVED: {"collection": collection, "key": key, "value": text}},
            archived=can.archive,
        )

    def _get(self, key: str, collection: str) -> Steps[dict[str, Any] | None]:
        can: Capabilities = yield ask("capabilities")
        id = encode(self._scope, collection, key)
        found: list[Memory]
        if can.client_ids:
            found = yield ask("get_many", [id], scope=self._scope)
        else:
            found = yield ask(
                "list", filter=with_ids(can, [id]), scope=self._scope, limit=1, include_archived=True
            )
        return _value(found[0]) if found else None

    def _get_all(self, collection: str) -> Steps[dict[str, dict[str, Any]]]:
        found: list[Memory] = yield ask(
            "list",
            filter=own("collection").eq(collection),
            scope=self._scope,
            order="sequence",
            include_archived=True,
        )
        return {memory.metadata[RESERVED]["key"]: _value(memory) for memory in found}

    def _delete(self, key: str, collection: str) -> Steps[bool]:
        can: Capabilities = yield ask("capabilities")
        gone = yield ask(
            "forget", filter=with_ids(can, [encode(self._scope, collection, key)]), scope=self._scope
        )
        return bool(gone.count)


def _value(memory: Memory) -> dict[str, Any]:
    return cast("dict[str, Any]", json.loads(memory.metadata[RESERVED]["value"]))
