"""A OneBrain server for tests, in memory and over a real socket, after the facts of the wire.

`Hosted` does what the hosted server does, shortcomings included: metadata in no search row, 50 hits at most out of the 200
memories changed last, unknown body fields dropped, failures (500) for ids that are no UUIDs and for what exists twice, an
unknown route in the framework's shape. `Additions` has the routes of docs/http-api.md that the documentation of the client
needs beyond that.
"""

from __future__ import annotations

import json
import re
import socket
import threading
import uuid
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

TYPES = {"fact", "preference", "decision", "goal", "experience", "skill"}
STATUSES = {"active", "candidate", "archived", "conflicted"}
UUID = re.compile(r"[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}")


class Refused(Exception):
    def __init__(self, status: int, code: str, message: str, details: Any = None) -> None:
        super().__init__(message)
        self.status, self.code, self.message, self.details = status, code, message, details


def absent() -> Refused:
    return Refused(404, "NOT_FOUND", "Not found")


def invalid(path: list[str], message: str) -> Refused:
    return Refused(400, "VALIDATION_ERROR", "Invalid request body", [{"path": path, "message": message}])


def crash() -> Refused:
    return Refused(500, "INTERNAL_ERROR", "Internal server error")


def units(text: str) -> int:
    return len(text.encode("utf-16-le", "surrogatepass")) // 2


def dice(a: str, b: str) -> float:
    def pairs(text: str) -> dict[str, int]:
        text, found = text.lower(), {}
        for i in range(len(text) - 1):
            found[text[i : i + 2]] = found.get(text[i : i + 2], 0) + 1
        return found

    x, y = pairs(a), pairs(b)
    total = sum(x.values()) + sum(y.values())
    return 2 * sum(min(n, y.get(pair, 0)) for pair, n in x.items()) / total if total else 0.0


Route = tuple[str, re.Pattern[str], Callable[..., Any]]


class Hosted:
    """The state of one account, and its routes."""

    def __init__(self, *, key: str = "ob_0123456789abcdef_secret", encrypted: bool = False) -> None:
        self.key = key
        self.encrypted = encrypted
        self.memories: dict[str, dict[str, Any]] = {}
        self.entities: dict[str, dict[str, Any]] = {}
        self.projects: dict[str, dict[str, Any]] = {}
        self.skills: dict[str, dict[str, Any]] = {}
        self.keys: dict[str, dict[str, Any]] = {}
        self.profile: dict[str, Any] = {"summary": "", "traits": {}, "preferences": {}}
        self.requests: list[tuple[str, str, Any]] = []
        self.fail: Callable[[str, str], int | None] = lambda method, path: None
        self.lock = threading.RLock()
        self.clock = datetime.now(UTC)
        self.table: list[Route] = []
        self.routes()

    # ---- plumbing ---------------------------------------------------------------------------------------------------

    def route(self, method: str, template: str, function: Callable[..., Any]) -> None:
        pattern = re.compile("^" + re.sub(r"\{\}", "([^/]+)", template) + "$")
        self.table.append((method, pattern, function))

    def now(self) -> str:
        return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")

    def answer(self, method: str, target: str, headers: Any, body: bytes) -> tuple[int, Any]:
        url = urlsplit(target.removeprefix("/api/eu"))
        with self.lock:
            data = json.loads(body) if body else None
            self.requests.append((method, url.path, data))
            if (status := self.fail(method, url.path)) is not None:
                return status, {"error": {"code": "INTERNAL_ERROR", "message": "made to fail"}, "meta": None}
            request_id = str(uuid.uuid4())
            try:
                if headers.get("content-type") == "application/json" and not body:
                    raise Refused(400, "REQUEST_ERROR", "Body cannot be empty")
                if headers.get("authorization") not in (f"ApiKey {self.key}", None) or (
                    headers.get("authorization") is None and url.path != "/health"
                ):
                    raise Refused(401, "INVALID_API_KEY", "Invalid or expired API key")
                for verb, pattern, function in self.table:
                    match = pattern.match(url.path) if verb == method else None
                    if match:
                        query = {name: values[-1] for name, values in parse_qs(url.query).items()}
                        found = function(*map(unquote, match.groups()), query=query, body=data)
                        status, payload, meta = found if isinstance(found, tuple) else (200, found, {})
                        return status, None if status == 204 else {
                            "data": payload,
                            "meta": {"requestId": request_id, **meta},
                        }
                message = f"Route {method}:{url.path} not found"
                return 404, {"message": message, "error": "Not Found", "statusCode": 404}
            except Refused as error:
                said = {"code": error.code, "message": error.message}
                if error.details is not None:
                    said["details"] = error.details
                return error.status, {"error": said, "meta": {"requestId": request_id}}

    def likeness(self, query: str, title: str, body: str) -> float:
        return 0.6 * dice(query, title) + 0.4 * dice(query, body[:500])

    def one(self, table: dict[str, Any], id: str) -> Any:
        if not UUID.fullmatch(id) and type(self) is Hosted:
            raise crash()
        if id not in table:
            raise absent()
        return table[id]

    def page(self, rows: list[Any], query: dict[str, str]) -> tuple[int, Any, Any]:
        limit = int(query.get("limit", 20))
        if not 1 <= limit <= 100:
            raise crash()
        start = 0
        if "cursor" in query:
            places = [i for i, row in enumerate(rows) if row["id"] == query["cursor"]]
            if not places:
                raise crash()
            start = places[0] + 1
        part = rows[start : start + limit]
        more = start + limit < len(rows)
        cursor = part[-1]["id"] if more else None
        return 200, part, {"pagination": {"cursor": cursor, "hasMore": more, "total": len(rows)}}

    def routes(self) -> None:
        route = self.route
        route("GET", "/health", lambda **_: {"status": "ok", "timestamp": self.now()})
        for word in ("duplicates", "embeddings/status"):
            route("GET", f"/v1/memory/{word}", lambda **_: [])
        route("POST", "/v1/memory/search", self.search)
        route("POST", "/v1/memory/import", self.import_)
        route("POST", "/v1/memory/ai-extract", self.ai_extract)
        route("GET", "/v1/memory", self.list_memories)
        route("POST", "/v1/memory", lambda query, body: (201, self.create(body), {}))
        route("GET", "/v1/memory/{}", lambda id, **_: self.one(self.memories, id))
        route("PATCH", "/v1/memory/{}", self.patch)
        route("DELETE", "/v1/memory/{}", self.delete)
        route("POST", "/v1/entities/merge", self.merge)
        route("POST", "/v1/entities/auto-extract", self.auto_extract)
        route("GET", "/v1/entities/graph", lambda **_: list(self.entities.values()))
        for name, table, links in (
            ("entities", self.entities, "links"),
            ("projects", self.projects, "memoryLinks"),
        ):
            self.collection(name, table, links)
        route("GET", "/v1/brain/profile", lambda **_: {"id": str(uuid.uuid4()), **self.profile})
        route("GET", "/v1/brain/context", self.bare_context)
        route("GET", "/v1/context/{}", self.context)
        route("GET", "/v1/connect", lambda **_: {"systemPrompt": "# OneBrain Sync Protocol v1"})
        route("GET", "/v1/billing/plan", lambda **_: {"planName": "pro", "displayName": "Pro"})
        route("GET", "/v1/billing/usage", self.usage)
        route("GET", "/v1/user/usage-summary", self.summary)
        route("GET", "/v1/api-keys", self.list_keys)
        route("POST", "/v1/api-keys", self.create_key)
        route("DELETE", "/v1/api-keys/{}", lambda id, **_: (204, self.keys.pop(id, None), {}))
        route("GET", "/v1/skills", lambda **_: self.items(self.skills))
        route("POST", "/v1/skills", self.create_skill)
        route("GET", "/v1/skills/{}", lambda id, **_: self.one(self.skills, id))
        route("PATCH", "/v1/skills/{}", self.patch_skill)
        route("DELETE", "/v1/skills/{}", lambda id, **_: (204, self.one(self.skills, id), {}))
        route("GET", "/v1/briefings", lambda **_: self.items({}))
        route("GET", "/v1/briefings/{}", lambda id, **_: self.one({}, id))

    def items(self, table: dict[str, Any]) -> Any:
        return {"items": list(table.values()), "pagination": {"cursor": None, "hasMore": False}}

    # ---- memories ---------------------------------------------------------------------------------------------------

    def create(self, body: Any, *, status: str = "active") -> dict[str, Any]:
        for name, low, high in (("title", 1, 500), ("body", 1, 10000)):
            value = body.get(name)
            if not isinstance(value, str) or not low <= units(value) <= high:
                raise invalid([name], "String must contain at least 1 character(s)")
        if body.get("type") not in TYPES:
            raise invalid(["type"], "Invalid enum value")
        row = {
            "id": str(uuid.uuid4()),
            "userId": "8b121a17-9836-4f8e-aba0-e2827f0b84d9",
            "type": body["type"],
            "title": body["title"],
            "body": body["body"],
            "sourceType": body.get("sourceType", "user_input"),
            "confidence": body.get("confidence", 1),
            "status": status,
            "metadata": body.get("metadata"),
            "createdAt": self.now(),
            "updatedAt": self.now(),
        }
        self.memories[row["id"]] = row
        return row

    def patch(self, id: str, *, query: Any, body: Any) -> Any:
        row = self.one(self.memories, id)
        if body.get("status", "active") not in {"active", "candidate", "archived"}:
            raise invalid(["status"], "Invalid enum value")
        for name in ("title", "body"):
            if name in body and not 1 <= units(body[name]) <= (500 if name == "title" else 10000):
                raise invalid([name], "too long or empty")
        for name in ("title", "body", "confidence", "status", "metadata"):
            if name in body:
                row[name] = body[name]
        row["updatedAt"] = self.now()
        return row

    def delete(self, id: str, **_: Any) -> Any:
        self.one(self.memories, id)
        del self.memories[id]
        for owner in (*self.entities.values(), *self.projects.values()):
            for links in ("links", "memoryLinks"):
                if links in owner:
                    owner[links] = [link for link in owner[links] if link["memoryItemId"] != id]
        return 204, None, {}

    def list_memories(self, *, query: Any, body: Any) -> Any:
        if query.get("type", "fact") not in TYPES or query.get("status", "active") not in STATUSES:
            raise crash()
        rows = list(self.memories.values())
        rows.reverse()
        wanted = query.get("search", "").lower()
        return self.page(
            [
                row
                for row in rows
                if query.get("type") in (None, row["type"])
                and query.get("status") in (None, row["status"])
                and (
                    not wanted
                    or (not self.encrypted and wanted in (row["title"] + "\n" + row["body"]).lower())
                )
            ],
            query,
        )

    def search(self, *, query: Any, body: Any) -> Any:
        top = body.get("top_k", 10)
        if not body.get("query") or not 1 <= top <= 50:
            raise invalid(["top_k"], "Number must be less than or equal to 50")
        active = [row for row in self.memories.values() if row["status"] == "active"]
        active.sort(key=lambda row: row["updatedAt"], reverse=True)
        scored = []
        for row in active[:200]:
            score = self.likeness(body["query"], row["title"], row["body"])
            if score > 0.05 and not self.encrypted:
                scored.append((round(score, 3), row))
        scored.sort(key=lambda pair: -pair[0])
        results = [
            {
                **{name: row[name] for name in ("id", "title", "body", "type", "confidence")},
                "score": score,
                "diceScore": score,
                "vectorScore": 0,
            }
            for score, row in scored[:top]
        ]
        answer = {"results": results, "searchMode": "keyword"}
        return answer if body.get("mode") == "keyword" else {**answer, "downgradedFrom": "hybrid"}

    def import_(self, *, query: Any, body: Any) -> Any:
        if not 1 <= len(body["items"]) <= 100:
            raise crash()
        for item in body["items"]:
            self.create(
                {"type": "fact", **{name: item[name] for name in ("title", "body", "type") if name in item}}
            )
        return 201, {"created": len(body["items"]), "errors": []}, {}

    def ai_extract(self, *, query: Any, body: Any) -> Any:
        sentences = [part.strip() for part in re.split(r"(?<=[.!?])\s+", body["text"]) if part.strip()]
        rows = [{"title": s[:80], "body": s, "type": "fact", "confidence": 0.6} for s in sentences]
        return {"memories": rows, "provider": "fallback"}

    # ---- entities and projects --------------------------------------------------------------------------------------

    def collection(self, name: str, table: dict[str, Any], links: str) -> None:
        singular = {"entities": "entityId", "projects": "projectId"}[name]
        tail = {"entities": "links", "projects": "memory-links"}[name]

        def create(*, query: Any, body: Any) -> Any:
            if name == "entities" and any(
                row["name"] == body["name"] and row["type"] == body["type"] for row in table.values()
            ):
                raise crash()
            row = {
                "id": str(uuid.uuid4()),
                "name": body["name"],
                "description": body.get("description"),
                "metadata": body.get("metadata"),
                "createdAt": self.now(),
                "updatedAt": self.now(),
                links: [],
                **({"type": body["type"].lower()} if name == "entities" else {"status": "active"}),
            }
            table[row["id"]] = row
            return 201, row, {}

        def patch(id: str, *, query: Any, body: Any) -> Any:
            row = self.one(table, id)
            row.update({k: v for k, v in body.items() if k in row and k not in ("id", links)})
            return row

        def delete(id: str, **_: Any) -> Any:
            self.one(table, id)
            del table[id]
            return 204, None, {}

        def link(id: str, *, query: Any, body: Any) -> Any:
            row, memory = self.one(table, id), self.one(self.memories, body["memoryItemId"])
            if any(
                old["memoryItemId"] == memory["id"] and old["linkType"] == body["linkType"]
                for old in row[links]
            ):
                raise crash()
            made = {
                "id": str(uuid.uuid4()),
                singular: id,
                "memoryItemId": memory["id"],
                "linkType": body["linkType"],
                "createdAt": self.now(),
            }
            row[links].append(made)
            return 201, made, {}

        def unlink(id: str, link_id: str, **_: Any) -> Any:
            row = self.one(table, id)
            row[links] = [old for old in row[links] if old["id"] != link_id]
            return 204, None, {}

        def listed(*, query: Any, body: Any) -> Any:
            rows = [row for row in reversed(table.values()) if query.get("type") in (None, row.get("type"))]
            return self.page(rows, query)

        self.route("GET", f"/v1/{name}", listed)
        self.route("POST", f"/v1/{name}", create)
        self.route("GET", f"/v1/{name}/{{}}", lambda id, **_: self.one(table, id))
        self.route("PATCH", f"/v1/{name}/{{}}", patch)
        self.route("DELETE", f"/v1/{name}/{{}}", delete)
        self.route("POST", f"/v1/{name}/{{}}/{tail}", link)
        self.route("DELETE", f"/v1/{name}/{{}}/{tail}/{{}}", unlink)

    def auto_extract(self, *, query: Any, body: Any) -> Any:
        """Name everything with a capital, and take all of it for people; nothing is linked."""
        memory = self.one(self.memories, body["memoryId"])
        names = dict.fromkeys(re.findall(r"\b[A-Z]\w+(?: [A-Z]\w+)*", memory["body"]))
        extracted = [{"name": name, "type": "person"} for name in names]
        return 201, {"memoryId": memory["id"], "extracted": extracted, "count": len(extracted)}, {}

    def merge(self, *, query: Any, body: Any) -> Any:
        keep, remove = self.one(self.entities, body["keepId"]), self.one(self.entities, body["removeId"])
        keep["links"] += remove["links"]
        del self.entities[body["removeId"]]
        return {"merged": True, "linksTransferred": len(remove["links"])}

    # ---- the rest ---------------------------------------------------------------------------------------------------

    def newest(self, count: int) -> list[dict[str, Any]]:
        return [row for row in reversed(self.memories.values()) if row["status"] == "active"][:count]

    def bare_context(self, **_: Any) -> Any:
        return {
            "profile": self.profile,
            "recentMemories": self.newest(20),
            "topEntities": [],
            "activeProjects": [],
            "stats": {"totalMemories": len(self.memories)},
        }

    def context(self, scope: str, **_: Any) -> Any:
        if scope not in {"brief", "assistant", "project", "deep"}:
            raise Refused(
                400, "INVALID_SCOPE", "Invalid context scope. Valid: brief, assistant, project, deep"
            )
        rows = self.newest(30)
        text = "\n".join(f"- [{row['type']}] {row['title']}: {row['body']}" for row in rows)
        return {
            "scope": scope,
            "formatted": text,
            "structured": {"memories": rows, "entities": [], "projects": [], "skills": []},
            "meta": {"scope": scope, "tokenEstimate": len(text) // 4 + 1, "truncated": False},
        }

    def usage(self, *, query: Any, body: Any) -> Any:
        period = query.get("period") if query.get("period") in ("daily", "weekly") else "monthly"
        rows = [
            {"type": "POST /v1/memory", "count": 7, "tokensUsed": 0},
            {"type": "POST /v1/memory/search", "count": 5, "tokensUsed": 0},
        ]
        return {"period": period, "usage": rows}

    def summary(self, **_: Any) -> Any:
        limit = {"key": "memories", "limit": 100000, "period": "lifetime", "current": 4523, "percentage": 4}
        return {"plan": {"name": "pro"}, "limits": [limit], "totalTokensUsed": 0}

    def list_keys(self, **_: Any) -> Any:
        return {"items": list(self.keys.values()), "cursor": None, "hasMore": False, "total": len(self.keys)}

    def create_key(self, *, query: Any, body: Any) -> Any:
        if not body.get("scopes"):
            raise invalid(["scopes"], "Required")
        days = body.get("expiresInDays")
        row = {
            "id": str(uuid.uuid4()),
            "name": body["name"],
            "prefix": "ob_4f285e2c56ba70b2",
            "scopes": body["scopes"],
            "trustLevel": "review",
            "createdAt": self.now(),
            "expiresAt": (datetime.now(UTC) + timedelta(days=days)).isoformat() if days else None,
        }
        self.keys[row["id"]] = row
        return 201, {**row, "fullKey": "ob_4f285e2c56ba70b2_" + "0" * 48}, {}

    def create_skill(self, *, query: Any, body: Any) -> Any:
        row = {
            "id": str(uuid.uuid4()),
            "title": body["title"],
            "body": body["body"],
            "status": "active",
            "triggerConditions": body.get("triggerConditions", []),
            "verificationSteps": [],
            "sourceMemoryIds": [],
            "confidenceScore": 0.5,
            "usageCount": 0,
            "createdAt": self.now(),
        }
        self.skills[row["id"]] = row
        return 201, row, {}

    def patch_skill(self, id: str, *, query: Any, body: Any) -> Any:
        row = self.one(self.skills, id)
        row.update({name: value for name, value in body.items() if name in row})
        return row


class Additions(Hosted):
    """The routes of docs/http-api.md beyond the hosted server's, as far as the client's documentation needs them."""

    FEATURES = ("context.scopes", "memory.lookup", "memory.import")

    def routes(self) -> None:
        self.connections: dict[str, dict[str, Any]] = {}
        self.relations: list[dict[str, Any]] = []
        route = self.route
        route("GET", "/v1/capabilities", lambda **_: {"features": self.FEATURES})
        route("POST", "/v1/memory/lookup", self.lookup)
        route("GET", "/v1/context", lambda **_: [{"name": "coding", "description": "Programming"}])
        route("POST", "/v1/entities/{}/relations", self.relate)
        route("GET", "/v1/entities/{}/graph", self.graph)
        route("POST", "/v1/connect/connections", self.register)
        route("POST", "/v1/connect/connections/{}/sync", self.sync)
        route("GET", "/v1/connect/connections/{}/pull", self.pull)
        route("DELETE", "/v1/connect/connections/{}", lambda id, **_: (204, self.connections.pop(id), {}))
        route("POST", "/v1/skills/{}/execute", self.execute)
        route("GET", "/v1/briefings/daily/{}", self.daily)
        super().routes()

    def likeness(self, query: str, title: str, body: str) -> float:
        words = set(re.findall(r"\w+", query.lower()))
        return len(words & set(re.findall(r"\w+", f"{title} {body}".lower()))) / len(words) if words else 0.0

    def lookup(self, *, query: Any, body: Any) -> Any:
        return [self.memories[id] for id in body["ids"] if id in self.memories]

    def create(self, body: Any, *, status: str = "active") -> dict[str, Any]:
        row = super().create(body, status=body.get("status") or status)
        row["metadata"] = {k: v for k, v in (row["metadata"] or {}).items() if k != "onebrain"} or None
        kept = (body.get("metadata") or {}).get("onebrain")
        if kept is not None:
            row["metadata"] = {**(row["metadata"] or {}), "onebrain": kept}
        for name in ("tags", "entityId", "projectId", "source", "scope"):
            row[name] = body.get(name)
        row["tags"] = row["tags"] or []
        row["scope"] = row["scope"] or {}
        return row

    def patch(self, id: str, *, query: Any, body: Any) -> Any:
        row = super().patch(id, query=query, body=body)
        row.update({name: body[name] for name in ("tags", "source") if name in body})
        return row

    def import_(self, *, query: Any, body: Any) -> Any:
        results, errors, data = [], [], []
        for item in body["items"]:
            try:
                data.append(self.create({"type": "fact", **item}))
                results.append({"status": "created", "id": data[-1]["id"]})
            except Refused as error:
                errors.append(error.message)
                results.append({"status": "failed", "message": error.message})
        return 201, {"created": len(data), "errors": errors, "results": results, "data": data}, {}

    def search(self, *, query: Any, body: Any) -> Any:
        everything = self.memories
        wanted = body.get("scope") or {}
        as_active = {"status": "active"} if body.get("includeArchived") else {}
        self.memories = {
            id: {**row, **as_active}
            for id, row in everything.items()
            if all(row["scope"].get(name) == value for name, value in wanted.items())
            and body.get("entityId") in (None, row["entityId"])
            and body.get("projectId") in (None, row["projectId"])
            and set(body.get("tags") or []) <= set(row["tags"])
        }
        try:
            answer = super().search(query=query, body=body)
        finally:
            self.memories = everything
        answer["results"] = [{**everything[hit["id"]], **hit} for hit in answer["results"]]
        return {**answer, "filtered": True}

    def relate(self, id: str, *, query: Any, body: Any) -> Any:
        self.one(self.entities, id), self.one(self.entities, body["targetId"])
        made = {"id": str(uuid.uuid4()), "sourceId": id, **body, "createdAt": self.now()}
        self.relations.append(made)
        return 201, made, {}

    def graph(self, id: str, *, query: Any, body: Any) -> Any:
        edges = [
            {"source": r["sourceId"], "target": r["targetId"], "relation": r["relation"]}
            for r in self.relations
            if id in (r["sourceId"], r["targetId"])
        ]
        ids = {id, *(edge["source"] for edge in edges), *(edge["target"] for edge in edges)}
        return {"nodes": [self.entities[i] for i in ids], "edges": edges}

    def context(self, scope: str, *, query: Any = None, body: Any = None) -> Any:
        rows = self.newest(10)
        text = f"# {scope}\n" + "\n".join(f"- {row['body']}" for row in rows)
        return {"systemPrompt": text, "memories": rows, "tokenCount": len(text) // 4 + 1}

    def register(self, *, query: Any, body: Any) -> Any:
        row = {"connectionId": str(uuid.uuid4()), **body, "createdAt": self.now()}
        self.connections[row["connectionId"]] = row
        return 201, row, {}

    def sync(self, id: str, *, query: Any, body: Any) -> Any:
        made = [self.create(item) for item in body["memories"]]
        results = [{"status": "created", "id": row["id"], "title": row["title"]} for row in made]
        return {"results": results, "created": len(made), "duplicates": 0}

    def pull(self, id: str, *, query: Any, body: Any) -> Any:
        return self.page([{**row, "action": "created"} for row in self.memories.values()], query)

    def execute(self, id: str, *, query: Any, body: Any) -> Any:
        skill = self.one(self.skills, id)
        return {"output": skill["body"].replace("{{input}}", body["input"]), "model": None}

    def daily(self, which: str, *, query: Any, body: Any) -> Any:
        day = datetime.now(UTC).date().isoformat() if which == "today" else which
        return {
            "summary": "A quiet day.",
            "highlights": ["Nothing broke."],
            "actionItems": [],
            "date": day,
            "generatedAt": self.now(),
        }


class Serving:
    """Serves an account on a real socket; `account` may be exchanged between tests."""

    def __init__(self) -> None:
        self.account: Hosted = Hosted()

        self.listener = socket.create_server(("127.0.0.1", 0), backlog=256)
        self.url = f"http://127.0.0.1:{self.listener.getsockname()[1]}/api/eu"
        self.thread = threading.Thread(target=self.serve, daemon=True)
        self.thread.start()

    def serve(self) -> None:
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            threading.Thread(target=self.talk, args=(connection,), daemon=True).start()

    def talk(self, connection: socket.socket) -> None:
        # Reading HTTP by hand: the suite makes tens of thousands of requests, and http.server is slow.
        with connection, connection.makefile("rb") as stream, suppress(OSError):
            while line := stream.readline():
                method, target, _ = line.decode().split(" ")
                headers: dict[str, str] = {}
                while (header := stream.readline()) != b"\r\n":
                    name, _, value = header.decode().partition(":")
                    headers[name.lower()] = value.strip()
                body = stream.read(int(headers.get("content-length") or 0))
                status, payload = self.account.answer(method, target, headers, body)
                content = b"" if payload is None else json.dumps(payload).encode()
                lines = [f"HTTP/1.1 {status} X"]
                if isinstance(self.account, Additions):
                    lines.append("x-onebrain-server: python")
                if status != 204:
                    lines += ["content-type: application/json", f"content-length: {len(content)}"]
                connection.sendall("\r\n".join(lines).encode() + b"\r\n\r\n" + content)

    def close(self) -> None:
        with suppress(OSError):
            self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        self.thread.join()
