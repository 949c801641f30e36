from __future__ import annotations

import asyncio
import itertools
import json
import re
import threading
import uuid
from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qsl, unquote, urlsplit

import pytest

from onebrain import AsyncHeroBrain, Brain, HeroBrain
from onebrain._core.retry import RetryPolicy
from onebrain._core.transport import Response
from onebrain.services.herobrain import MemoryType
from onebrain.services.herobrain.driver import HeroBrainDriver

TYPES = set(MemoryType)


@pytest.fixture
def ask(in_colour, stub):
    """Call a sync or an async client of the stub."""

    def run(call, **options):
        at_once = RetryPolicy(max_retries=2, base_delay=0, max_delay=0)
        given = {"api_key": "hb_prod_key123", "tenant_id": "user_12345", "base_url": stub.url}
        return in_colour(HeroBrain, AsyncHeroBrain, {**given, "retry": at_once, **options}, call)

    return run


class StandIn:
    """HeroBrain's memory endpoints as its reference describes them, over a dict; both kinds of a brain's transport.

    It ranks by the share of the query's words that a memory holds. With `sparse` its lists and searches leave out what
    the reference's examples leave out.
    """

    def __init__(self, *, sparse=False, tenants=("user_12345",)):
        self.sparse = sparse
        self.tenants = tenants
        self.rows = {tenant: {} for tenant in tenants}
        self.lock = threading.Lock()
        self.clock = itertools.count()

    def answer(self, request):
        url = urlsplit(request.url)
        query = dict(parse_qsl(url.query, keep_blank_values=True))
        body = json.loads(request.content) if request.content else {}
        tenant = query.get("tenantId") or body.get("tenantId")
        if not tenant:
            return self.failure(400, "VALIDATION_ERROR", "The 'tenantId' field is required")
        if tenant not in self.tenants:
            return self.failure(403, "TENANT_MISMATCH", "Resource belongs to different tenant")
        path = [unquote(part) for part in url.path.split("/")[4:]]
        with self.lock:
            rows = self.rows[tenant]
            if request.method == "POST" and path == ["search"]:
                return self.search(rows, body)
            if request.method == "POST":
                return self.create(rows, body)
            if not path:
                return self.page(rows, query)
            row = rows.get(path[0])
            if row is None:
                return self.failure(404, "RESOURCE_NOT_FOUND", "Requested resource not found")
            if request.method == "DELETE":
                del rows[path[0]]
                return self.success({"id": path[0], "deleted": True})
            if request.method == "PATCH":
                changes = {
                    name: body[name] for name in ("content", "importance", "tags", "metadata") if name in body
                }
                row.update(changes, updatedAt=self.now())
            return self.success(row)

    def create(self, rows, body):
        if not 1 <= len(body.get("content", "")) <= 10_000 or body.get("type") not in TYPES:
            return self.failure(400, "VALIDATION_ERROR", "The 'content' field is required")
        now = self.now()
        row = {
            "id": f"mem_{uuid.uuid4().hex[:12]}",
            "content": body["content"],
            "type": body["type"],
            "importance": body.get("importance", 0.5),
            "tags": body.get("tags", []),
            "metadata": body.get("metadata", {}),
            "createdAt": now,
            "updatedAt": now,
        }
        rows[row["id"]] = row
        return self.success(row, 201)

    def page(self, rows, query):
        number, limit = int(query.get("page", 1)), int(query.get("limit", 50))
        assert 1 <= limit <= 100
        wanted = set(query["tags"].split(",")) if "tags" in query else None
        found = [row for row in rows.values() if wanted is None or wanted & set(row["tags"])]
        found.sort(
            key=lambda row: row[query.get("sort", "createdAt")], reverse=query.get("order", "desc") == "desc"
        )
        pages = -(-len(found) // limit)
        where = {
            "page": number,
            "limit": limit,
            "total": len(found),
            "pages": pages,
            "hasNext": number < pages,
            "hasPrevious": number > 1,
        }
        shown = [self.shown(row) for row in found[(number - 1) * limit : number * limit]]
        return self.success({"memories": shown, "pagination": where})

    def search(self, rows, body):
        words = set(re.findall(r"\w+", body["query"].lower()))
        wanted = set(body["tags"]) if "tags" in body else None
        found = []
        for row in rows.values():
            share = len(words & set(re.findall(r"\w+", row["content"].lower()))) / len(words) if words else 0
            if share and (wanted is None or wanted & set(row["tags"])):
                found.append({**self.shown(row), "relevance": share})
        found.sort(key=lambda row: -row["relevance"])
        return self.success({"results": found[: body.get("limit", 20)], "query": body["query"], "latency": 1})

    def shown(self, row):
        if not self.sparse:
            return row
        return {name: row[name] for name in ("id", "content", "type", "importance", "createdAt")}

    def now(self):
        moment = datetime.now(UTC) + timedelta(microseconds=next(self.clock))
        return moment.isoformat().replace("+00:00", "Z")

    def success(self, data, status=200):
        return self.reply(status, {"success": True, "data": data})

    def failure(self, status, code, message):
        return self.reply(status, {"success": False, "errors": [{"code": code, "message": message}]})

    def reply(self, status, envelope):
        envelope["metadata"] = {"request_id": "req_1", "timestamp": self.now(), "version": "v1"}
        return Response(status, {"content-type": "application/json"}, json.dumps(envelope).encode())


class Line:
    """A transport to a stand-in, synchronous."""

    def __init__(self, service):
        self.service = service

    def send(self, request):
        return self.service.answer(request)

    def close(self):
        pass


class AsyncLine(Line):
    async def send(self, request):
        # Others may run, as with a real one.
        await asyncio.sleep(0)
        return self.service.answer(request)

    async def close(self):
        pass


class LocalHeroBrain(HeroBrainDriver):
    """The driver, with the stand-in instead of a network."""

    def __init__(self, service, **options):
        super().__init__("https://herobrain.test", api_key="hb_prod_key", **options)
        self.service = service

    def transports(self):
        return Line(self.service), AsyncLine(self.service)


@pytest.fixture
def stand_in():
    return StandIn


@pytest.fixture
def local_brain():
    return lambda service, **options: Brain(LocalHeroBrain(service, **options))
