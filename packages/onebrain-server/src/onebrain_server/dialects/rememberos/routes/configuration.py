"""``/v1/memory/{storage,database,extraction}/config``: what a tenant brings instead of the server's own.

A language model of its own is real: tried before it is saved, and asked from then on. There is no object storage and no
second database to bring, since this server's operator owns both.
"""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal, NoReturn

import httpx
from pydantic import Field

from onebrain.errors import ConfigurationError, ModelError
from onebrain.memory.remembering.chat import text_of
from onebrain_server.dialects.rememberos.rules.model import ID, MODEL, guarded
from onebrain_server.dialects.rememberos.wire import Routes, Wire, unconfigured
from onebrain_server.http.problems import Problem
from onebrain_server.http.requests import Call
from onebrain_server.security.addresses import AddressRefused

routes = Routes("/memory", "configuration")

_SECONDS: Final = 20.0
_QUESTION: Final = {"role": "user", "content": "Answer with the word OK."}
_NO_COMPLETION: Final = "its answer is no chat completion"

Secret = Annotated[str, Field(min_length=1, max_length=2000)]
Short = Annotated[str, Field(min_length=1, max_length=255)]
Url = Annotated[str, Field(min_length=9, max_length=2000, pattern=r"^https?://[^\s]+$")]


class StorageConfig(Wire):
    """The object storage in use: this version of the server has none."""

    custom: bool
    backend: str | None


class StorageFields(Wire):
    """A bucket of one's own."""

    backend: Literal["s3"] = "s3"
    endpoint_url: Url | None = None
    bucket: Short
    region: Short | None = None
    access_key: Secret
    secret_key: Secret


@routes.get("/storage/config", needs="admin", answers=StorageConfig)
def get_storage(call: Call) -> dict[str, Any]:
    """Return the object storage in use: the default, which is none."""
    return {"custom": False, "backend": None}


@routes.put("/storage/config", needs="admin", answers=StorageConfig)
def put_storage(call: Call, body: StorageFields) -> NoReturn:
    """Use a bucket of one's own: not here, for this server stores no files."""
    raise unconfigured("This server stores no files, so that it has no use for a bucket; nothing was saved")


@routes.delete("/storage/config", needs="admin")
def delete_storage(call: Call) -> dict[str, Any]:
    """Go back to the default, which is in use anyway."""
    return {"deleted": False}


class DatabaseConfig(Wire):
    """The database in use; nothing says where it is."""

    custom: bool
    backend: str


class DatabaseFields(Wire):
    """A PostgreSQL of one's own."""

    dsn: Secret


@routes.get("/database/config", needs="admin", answers=DatabaseConfig)
def get_database(call: Call) -> dict[str, Any]:
    """Return the database in use: the server's own."""
    return {"custom": False, "backend": "postgresql" if call.server.database.postgres else "sqlite"}


@routes.put("/database/config", needs="admin", answers=DatabaseConfig)
def put_database(call: Call, body: DatabaseFields) -> NoReturn:
    """Use a database of one's own: not here, for the operator chooses one for all with DATABASE_URL."""
    raise unconfigured(
        "This server keeps everyone's memories in one database, which its operator sets with DATABASE_URL; nothing was saved"
    )


@routes.delete("/database/config", needs="admin")
def delete_database(call: Call) -> dict[str, Any]:
    """Go back to the default, which is in use anyway."""
    return {"deleted": False}


class ExtractionConfig(Wire):
    """The language model in use; its key is never shown, nor is the address of the server's own."""

    custom: bool
    provider: str | None
    base_url: str | None
    model: str | None


class ExtractionFields(Wire):
    """A model of one's own, behind any OpenAI-compatible API."""

    provider: Literal["custom"] = "custom"
    base_url: Url
    model: Short
    api_key: Secret


@routes.get("/extraction/config", needs="admin", answers=ExtractionConfig)
def get_extraction(call: Call) -> dict[str, Any]:
    """Return the language model in use: one's own, else the server's; rules if there is none."""
    own = call.server.records.get(call.tenant_id, MODEL, ID)
    if own is not None:
        return _shown(own.body["base_url"], own.body["model"])
    model = call.server.model
    return {
        "custom": False,
        "provider": None if model is None else "default",
        "base_url": None,
        "model": None if model is None else model.name,
    }


@routes.put("/extraction/config", needs="admin", answers=ExtractionConfig)
async def put_extraction(call: Call, body: ExtractionFields) -> dict[str, Any]:
    """Use a model of one's own for extraction, summaries and the proxy, once it has answered a question."""
    await _try(call, body)
    await call.server.loop_run(_save, call, body)
    return _shown(body.base_url, body.model)


@routes.delete("/extraction/config", needs="admin")
def delete_extraction(call: Call) -> dict[str, Any]:
    """Go back to the server's model."""
    gone = call.server.records.remove(call.tenant_id, MODEL, ID)
    call.audit("rememberos.model.delete")
    return {"deleted": gone}


def _shown(base_url: str, model: str) -> dict[str, Any]:
    return {"custom": True, "provider": "custom", "base_url": base_url, "model": model}


def _save(call: Call, body: ExtractionFields) -> None:
    model = body.model_dump(include={"base_url", "model", "api_key"})
    call.server.records.put(call.tenant_id, MODEL, ID, model)
    call.audit("rememberos.model.set")


async def _try(call: Call, body: ExtractionFields) -> None:
    """Ask the model something; raise if it does not answer. The failure quotes no answer and no key."""
    try:
        await call.server.fetcher.resolve(body.base_url)
        model = guarded(call.server, body.base_url, body.model, body.api_key, timeout=_SECONDS)
    except AddressRefused as refused:
        raise _untaken(str(refused)) from None
    except ConfigurationError as error:
        raise _untaken(error.message) from None
    except (httpx.InvalidURL, OSError, ValueError):
        raise _untaken("it cannot be reached") from None
    try:
        answer = await call.server.loop_run(model.completion, [_QUESTION])
    except ModelError as error:
        raise _untaken(_reason(error)) from None
    if text_of(answer) is None:
        raise _untaken(_NO_COMPLETION)


def _reason(error: ModelError) -> str:
    if error.status_code is not None:
        return f"it answered with status {error.status_code}"
    return _NO_COMPLETION if "cannot be used" in error.message else "it cannot be reached"


def _untaken(reason: str) -> Problem:
    return Problem(400, "SELF_TEST", f"The model was tried and not saved: {reason}")


__all__ = ["routes"]
