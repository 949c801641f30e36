"""``/v1/mcp``: the tools for agents, as JSON-RPC 2.0 over POST; the same key, the same grants, the same code as the routes.

A call that is wrong in itself is answered with an error of JSON-RPC; a tool that fails says so in its result, as MCP has it.
Messages are mcp-types' models. The MCP library's own server is not used: it refuses batches, numbers with a fraction as ids
and an `initialize` without capabilities, offers protocol versions that this service does not have, and is a coroutine, while
operations run in a worker thread.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Final, Literal

import mcp_types
from mcp_types import INTERNAL_ERROR, INVALID_PARAMS, INVALID_REQUEST, METHOD_NOT_FOUND, PARSE_ERROR
from mcp_types.methods import serialize_server_result
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic_core import from_json, to_json

from onebrain.errors import OneBrainError
from onebrain.memory.fence import defuse
from onebrain.memory.models import EVERYTHING, JsonObject
from onebrain_server.dialects.rememberos.mapping import NewFields
from onebrain_server.dialects.rememberos.routes import collections, hygiene, memories, search
from onebrain_server.dialects.rememberos.routes.hygiene import HealthQuery, StaleFields, SummaryQuery
from onebrain_server.dialects.rememberos.routes.memories import RelatedQuery
from onebrain_server.dialects.rememberos.routes.search import SearchFields
from onebrain_server.dialects.rememberos.rules.collections import readable
from onebrain_server.dialects.rememberos.rules.partition import partition_of
from onebrain_server.dialects.rememberos.wire import (
    MAX_LIST,
    MAX_SEARCH,
    Asked,
    Days,
    Failure,
    Name,
    Routes,
    Share,
    Tagged,
    Text,
    Wire,
)
from onebrain_server.http.operation import Answer
from onebrain_server.http.problems import Problem, from_engine, not_found, sentences
from onebrain_server.http.requests import Call
from onebrain_server.json_values import is_array, is_object

routes = Routes("/mcp", "mcp")

# Newest first.
_VERSIONS: Final = ("2025-06-18", "2025-03-26", "2024-11-05")
_DEFAULT: Final = "default"
# Calls in one batch.
_MOST: Final = 20

Id = Annotated[str, Field(min_length=1, max_length=512)]


# ---- tools ----------------------------------------------------------------------------------------------------------


class Arguments(BaseModel):
    """The base of tools' arguments; a name that is not known is refused, so that no agent relies on it."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)


@dataclass(frozen=True, slots=True)
class Tool:
    """One tool."""

    description: str
    arguments: type[Arguments]
    run: Callable[[Call, Any], Any]
    writes: bool


TOOLS: Final[dict[str, Tool]] = {}


def _tool(*, writes: bool = False) -> Callable[[Callable[[Call, Any], Any]], Callable[[Call, Any], Any]]:
    """Make a function a tool of its name; agents read its docstring."""

    def register(function: Callable[[Call, Any], Any]) -> Callable[[Call, Any], Any]:
        arguments: type[Arguments] = function.__globals__[function.__annotations__["given"]]
        TOOLS[function.__name__] = Tool(function.__doc__ or "", arguments, function, writes)
        return function

    return register


class SearchMemory(Arguments):
    """A search."""

    query: Asked
    collection: Name | None = None
    limit: Annotated[int, Field(ge=1, le=MAX_SEARCH)] = 5


@_tool()
def search_memory(call: Call, given: SearchMemory) -> Any:
    """Search the memories of one collection, or of all."""
    asked = SearchFields(query=given.query, limit=given.limit)
    if given.collection is None:
        return search.search_everything(call, body=asked)
    return search.search_collection(call, collection=given.collection, body=asked)


class StoreMemory(Arguments):
    """A text to remember."""

    text: Text
    collection: Name = _DEFAULT


@_tool(writes=True)
def store_memory(call: Call, given: StoreMemory) -> Any:
    """Store a text as a memory."""
    fields = NewFields(text=given.text, source="mcp")
    return memories.create_memory(call, collection=given.collection, body=fields)


class GetMemory(Arguments):
    """Which memory."""

    memory_id: Id
    collection: Name


@_tool()
def get_memory(call: Call, given: GetMemory) -> Any:
    """Return one memory of a collection."""
    return memories.get_memory(call, collection=given.collection, id=given.memory_id, query=Tagged())


class ListCollections(Arguments):
    """Nothing to say."""


@_tool()
def list_collections(call: Call, given: ListCollections) -> Any:
    """List the collections with their numbers of memories."""
    return collections.list_collections(call)


class RelatedMemory(Arguments):
    """Which memory, and how many others."""

    id: Id
    limit: Annotated[int, Field(ge=1, le=MAX_SEARCH)] = 5


@_tool()
def related_memory(call: Call, given: RelatedMemory) -> Any:
    """Return the memories nearest in meaning to one, in the collection that it is in."""
    found = partition_of(call).memories.get([given.id], EVERYTHING)
    if not found:
        raise not_found("Memory")
    return memories.related_memories(
        call, collection=found[0].scope.space, id=given.id, query=RelatedQuery(limit=given.limit)
    )


class WhatChanged(Arguments):
    """Which collection, and how many changes."""

    collection: Name
    limit: Annotated[int, Field(ge=1, le=MAX_LIST)] = 20


@_tool()
def what_changed(call: Call, given: WhatChanged) -> Any:
    """Return where a newer fact replaced an older one, newest first."""
    return hygiene.contradictions(call, collection=given.collection, query=Tagged())[: given.limit]


class CollectionHealth(Arguments):
    """Which collection, and how old is stale."""

    collection: Name
    stale_days: Days = 90


@_tool()
def collection_health(call: Call, given: CollectionHealth) -> Any:
    """Count the current, archived, stale and superseded memories of a collection."""
    return hygiene.health(call, collection=given.collection, query=HealthQuery(stale_days=given.stale_days))


class SummarizeCollection(Arguments):
    """Which collection, and how many memories to look at."""

    collection: Name
    limit: Annotated[int, Field(ge=1, le=MAX_LIST)] = 50


@_tool()
def summarize_collection(call: Call, given: SummarizeCollection) -> Any:
    """Summarize the most important and newest memories of a collection."""
    return hygiene.summary(call, collection=given.collection, query=SummaryQuery(limit=given.limit))


class FindDuplicates(Arguments):
    """Which collection, and how alike duplicates are."""

    collection: Name
    threshold: Share = 0.95


@_tool()
def find_duplicates(call: Call, given: FindDuplicates) -> Any:
    """Find near-identical memories of a collection; nothing is deleted."""
    found = readable(call, given.collection)
    return {"clusters": hygiene.shown(hygiene.clustered(partition_of(call), found.scope, given.threshold))}


class ArchiveStale(Arguments):
    """Which collection, how old is stale, and whether it is only counted."""

    collection: Name
    older_than_days: Days = 90
    dry_run: bool = True


@_tool(writes=True)
def archive_stale(call: Call, given: ArchiveStale) -> Any:
    """Count the memories that were not changed for a number of days or, with dry_run false, archive them."""
    asked = StaleFields(older_than_days=given.older_than_days, dry_run=given.dry_run)
    return hygiene.archive_stale(call, collection=given.collection, body=asked)


# ---- JSON-RPC -------------------------------------------------------------------------------------------------------


class RpcCall(Wire):
    """One call; without an id it is a notification, which is not answered."""

    jsonrpc: Literal["2.0"]
    method: str
    id: str | int | float | None = None
    params: JsonObject = Field(default_factory=dict)


class RpcAnswer(Wire):
    """The answer to one call: a result, or an error."""

    jsonrpc: Literal["2.0"]
    id: str | int | float | None
    result: JsonObject | None = None
    error: JsonObject | None = None


class _Failed(Exception):
    """A call that is answered with an error."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


@routes.post(
    "",
    needs="read",
    answers=RpcAnswer | list[RpcAnswer],
    answers_also={
        202: ("It was a notification, which is not answered", None),
        400: ("It is no JSON, or no call", RpcAnswer | list[RpcAnswer] | Failure),
    },
)
def rpc(call: Call) -> Answer:
    """Answer JSON-RPC 2.0 calls of the Model Context Protocol: initialize, ping, tools/list and tools/call.

    Errors of JSON-RPC come with status 200, and with 400 where there was no call to answer; other failures (no key,
    too large a body) fails as everywhere.
    """
    try:
        said: Any = from_json(call.content)
    except ValueError:
        return _said(_error(None, PARSE_ERROR, "The body is not valid JSON"))
    if not is_array(said):
        return _said(_answered(call, said))
    if not 1 <= len(said) <= _MOST:
        return _said(_error(None, INVALID_REQUEST, f"A batch has 1 to {_MOST} calls"))
    return _said(*[_answered(call, one) for one in said], batch=True)


# The body is read by hand, for its failures are JSON-RPC's; the document describes it all the same.
routes.operations[-1].body_type = RpcCall | list[RpcCall]


def _said(*answers: dict[str, Any] | None, batch: bool = False) -> Answer:
    given = [answer for answer in answers if answer is not None]
    if not given:
        return Answer(status=202, raw=b"", media_type=None)
    codes = {answer["error"]["code"] for answer in given if "error" in answer}
    status = 400 if codes & {PARSE_ERROR, INVALID_REQUEST} else 200
    return Answer(given if batch else given[0], status=status)


def _error(id: Any, code: int, message: str) -> dict[str, Any]:
    return {"jsonrpc": "2.0", "id": id, "error": {"code": code, "message": message}}


def _answered(call: Call, said: Any) -> dict[str, Any] | None:
    """Return the answer to one call; None for a notification."""
    asked: Mapping[str, Any] = said if is_object(said) else {}
    id, method, params = asked.get("id"), asked.get("method"), asked.get("params", {})
    if isinstance(id, bool) or not isinstance(id, str | int | float | None):
        return _error(None, INVALID_REQUEST, "id: must be a text or a number")
    if asked.get("jsonrpc") != "2.0" or not isinstance(method, str):
        return _error(id, INVALID_REQUEST, 'A call has "jsonrpc": "2.0" and a "method"')
    if "id" not in asked:
        # As every notification; there is none that changes anything here.
        return None
    if not is_object(params):
        return _error(id, INVALID_REQUEST, "params: must be an object")
    try:
        return {"jsonrpc": "2.0", "id": id, "result": _result(call, method, params)}
    except _Failed as failed:
        return _error(id, failed.code, failed.message)
    except Exception as error:
        # Its text may hold anything, a memory included.
        call.server.log.failure(call.request_id, "mcp", error)
        return _error(id, INTERNAL_ERROR, "Internal server error")


def _result(call: Call, method: str, params: Mapping[str, Any]) -> dict[str, Any]:
    answer = _METHODS.get(method)
    if answer is None:
        raise _Failed(METHOD_NOT_FOUND, f"There is no such method; there are {', '.join(_METHODS)}")
    result = answer(call, params).model_dump(by_alias=True, mode="json", exclude_none=True)
    # Leaves out the fields that the newest of the versions above does not have.
    return serialize_server_result(method, _VERSIONS[0], result)


def _initialize(call: Call, params: Mapping[str, Any]) -> mcp_types.InitializeResult:
    wanted = params.get("protocolVersion")
    return mcp_types.InitializeResult(
        protocol_version=wanted if wanted in _VERSIONS else _VERSIONS[0],
        capabilities=mcp_types.ServerCapabilities(tools=mcp_types.ToolsCapability(list_changed=False)),
        server_info=mcp_types.Implementation(name="onebrain-server", version="2.0.0"),
    )


def _ping(call: Call, params: Mapping[str, Any]) -> mcp_types.EmptyResult:
    return mcp_types.EmptyResult()


def _list_tools(call: Call, params: Mapping[str, Any]) -> mcp_types.ListToolsResult:
    return mcp_types.ListToolsResult(
        tools=[
            mcp_types.Tool(
                name=name,
                description=tool.description,
                input_schema=tool.arguments.model_json_schema(),
                annotations=mcp_types.ToolAnnotations(read_only_hint=not tool.writes),
            )
            for name, tool in TOOLS.items()
        ]
    )


def _call_tool(call: Call, params: Mapping[str, Any]) -> mcp_types.CallToolResult:
    name, arguments = params.get("name"), params.get("arguments", {})
    tool = TOOLS.get(name) if isinstance(name, str) else None
    if tool is None:
        raise _Failed(INVALID_PARAMS, f"name: there is no such tool; there are {', '.join(TOOLS)}")
    try:
        given = tool.arguments.model_validate({} if arguments is None else arguments, strict=True)
    except ValidationError as error:
        told = "; ".join(sentences(error, "arguments")[:5])
        raise _Failed(INVALID_PARAMS, told) from None
    try:
        if tool.writes and "write" not in call.scopes:
            raise Problem(403, "FORBIDDEN", "This key may read and not write")
        answer = tool.run(call, given)
    except OneBrainError as error:
        return _failed(from_engine(error))
    except Problem as problem:
        return _failed(problem)
    return _content(defuse(to_json(answer).decode()), is_error=False)


def _failed(problem: Problem) -> mcp_types.CallToolResult:
    return _content(problem.message, is_error=True)


def _content(text: str, *, is_error: bool) -> mcp_types.CallToolResult:
    return mcp_types.CallToolResult(content=[mcp_types.TextContent(text=text)], is_error=is_error)


_METHODS: Final[dict[str, Callable[[Call, Mapping[str, Any]], BaseModel]]] = {
    "initialize": _initialize,
    "ping": _ping,
    "tools/list": _list_tools,
    "tools/call": _call_tool,
}


__all__ = ["TOOLS", "routes"]
