"""`OneBrainKVStore`: a key-value store in a brain, for LlamaIndex's document store, index store and ingestion cache."""

from __future__ import annotations

import json
from typing import Any, cast

from llama_index.core.storage.kvstore.types import DEFAULT_BATCH_SIZE, DEFAULT_COLLECTION, BaseKVStore
from pydantic import SecretStr

from onebrain import ForgetResult, Memory, NewMemory, OneBrainValidationError
from onebrain.frameworks.connection import AnyBrain, Component, Connection, Method, ScopeLike, in_space
from onebrain.frameworks.ids import store_under_ids, with_ids
from onebrain.frameworks.plans import Plan, ask
from onebrain.memory.capabilities import Capabilities
from onebrain_llamaindex.filters import RESERVED, own
from onebrain_llamaindex.ids import encode

DEFAULT_SPACE = "llamaindex-kv"


class OneBrainKVStore(Component, BaseKVStore):
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
        self._scope = in_space(scope, None, DEFAULT_SPACE)

    def _put(self, key: str, val: dict[str, Any], collection: str = DEFAULT_COLLECTION) -> Plan[None]:
        """Store `val`, a JSON object, under `key`, replacing what is there."""
        return self._put_all([(key, val)], collection)

    def _put_all(
        self,
        kv_pairs: list[tuple[str, dict[str, Any]]],
        collection: str = DEFAULT_COLLECTION,
        batch_size: int = DEFAULT_BATCH_SIZE,
    ) -> Plan[None]:
        """Store all pairs; of two with the same key the last one stays."""
        can: Capabilities = yield ask("capabilities")
        entries = [self._entry(key, value, collection, can) for key, value in kv_pairs]
        yield from store_under_ids(entries, self._scope, RESERVED)

    def _entry(self, key: str, value: dict[str, Any], collection: str, can: Capabilities) -> NewMemory:
        try:
            # As text, so that every service gives back exactly this object.
            text = json.dumps(value, ensure_ascii=False)
        except (TypeError, ValueError) as error:
            raise OneBrainValidationError(
                f"the value of {key!r:.80} is not JSON: {type(error).__name__}"
            ) from None
        return NewMemory.checked(
            id=encode(self._scope, collection, key),
            content=f"{collection}/{key}",
            scope=self._scope,
            metadata={RESERVED: {"collection": collection, "key": key, "value": text}},
            archived=can.archive,
        )

    def _get(self, key: str, collection: str = DEFAULT_COLLECTION) -> Plan[dict[str, Any] | None]:
        """Return what is stored under `key`, or None."""
        can: Capabilities = yield ask("capabilities")
        id = encode(self._scope, collection, key)
        found: list[Memory]
        if can.client_ids:
            found = yield ask("get_many", [id], scope=self._scope)
        else:
            known = with_ids(can, [id], RESERVED)
            found = yield ask("list", filter=known, scope=self._scope, limit=1, include_archived=True)
        return _value(found[0]) if found else None

    def _get_all(self, collection: str = DEFAULT_COLLECTION) -> Plan[dict[str, dict[str, Any]]]:
        """Return everything in `collection` by its key, in the order of first storing."""
        found: list[Memory] = yield ask(
            "list",
            filter=own("collection").eq(collection),
            scope=self._scope,
            order="sequence",
            include_archived=True,
        )
        return {memory.metadata[RESERVED]["key"]: _value(memory) for memory in found}

    def _delete(self, key: str, collection: str = DEFAULT_COLLECTION) -> Plan[bool]:
        """Remove `key`; return whether it was there."""
        can: Capabilities = yield ask("capabilities")
        known = with_ids(can, [encode(self._scope, collection, key)], RESERVED)
        gone: ForgetResult = yield ask("forget", filter=known, scope=self._scope, keep_facts=True)
        return bool(gone.count)

    put = Method(_put).sync
    aput = Method(_put).asynchronous
    put_all = Method(_put_all).sync
    aput_all = Method(_put_all).asynchronous
    get = Method(_get).sync
    aget = Method(_get).asynchronous
    get_all = Method(_get_all).sync
    aget_all = Method(_get_all).asynchronous
    delete = Method(_delete).sync
    adelete = Method(_delete).asynchronous


def _value(memory: Memory) -> dict[str, Any]:
    return cast("dict[str, Any]", json.loads(memory.metadata[RESERVED]["value"]))
