"""Every fault of the client that was published before this one, by its number in our notes, and that it is gone.

Faults of requests that never left (B1, B2, B23), of answers lost on the way (B3 to B9) and of retries (B11 to B16) are
proved on a real socket here and in tests/faults/http; what the real server really answers stands in tests/wire/onebrain.
"""

from __future__ import annotations

import inspect

import pytest

import onebrain
from onebrain import (
    AsyncOneBrain,
    ConfigurationError,
    OneBrain,
    OneBrainAuthenticationError,
    OneBrainConflictError,
    OneBrainInternalError,
    OneBrainNotFoundError,
    OneBrainResponseError,
    OneBrainValidationError,
    UnsupportedByServer,
)
from onebrain._core.endpoint import endpoint
from onebrain._core.retry import RetryPolicy

ID = "7911a591-d041-4b30-b2a4-b8818d4132ab"
ROW = {"id": ID, "title": "t", "body": "b", "type": "fact", "status": "active"}

LISTS = {
    "memory": ("/v1/memory", lambda c: c.memory),
    "entity": ("/v1/entities", lambda c: c.entity),
    "project": ("/v1/projects", lambda c: c.project),
    "api_keys": ("/v1/api-keys", lambda c: c.api_keys),
    "skill": ("/v1/skills", lambda c: c.skill),
    "briefing": ("/v1/briefings", lambda c: c.briefing),
}


@pytest.mark.parametrize("name", LISTS)
def test_b1_every_list_asks_with_its_arguments(name, ask, says, stub):
    path, resource = LISTS[name]
    says([{"id": ID}])
    page = ask(lambda c: resource(c).list(limit=5, cursor="c-1"))
    assert [row.id for row in page.data] == [ID]
    assert (stub.last.path, stub.last.query) == (path, {"limit": "5", "cursor": "c-1"})


WRITES = {
    "memory.create": lambda c: c.memory.create("x"),
    "memory.search": lambda c: c.memory.search("x"),
    "memory.ai_extract": lambda c: c.memory.ai_extract("x"),
    "connect.write_memory": lambda c: c.connect.write_memory("x"),
    "entity.create": lambda c: c.entity.create("x"),
    "project.create": lambda c: c.project.create("x"),
    "api_keys.create": lambda c: c.api_keys.create("x"),
}


@pytest.mark.parametrize("name", WRITES)
def test_b2_a_call_with_a_body_sends_it(name, ask, says, stub):
    says({"id": ID})
    ask(WRITES[name])
    assert stub.last.headers["content-type"] == "application/json"
    assert "x" in stub.last.body.values()


PAGES = {
    "meta.pagination": lambda rows, more: (
        {"data": rows, "meta": {"pagination": {"cursor": rows[-1]["id"], "hasMore": more, "total": 3}}}
    ),
    "data.pagination": lambda rows, more: {
        "data": {"items": rows, "pagination": {"cursor": rows[-1]["id"], "hasMore": more}},
        "meta": {},
    },
    "data itself": lambda rows, more: {
        "data": {"items": rows, "cursor": rows[-1]["id"], "hasMore": more, "total": 3},
        "meta": {},
    },
    "data.meta": lambda rows, more: {
        "data": {"data": rows, "meta": {"cursor": rows[-1]["id"], "hasMore": more}},
        "meta": {},
    },
}


@pytest.mark.parametrize("shape", PAGES)
@pytest.mark.parametrize("name", LISTS)
def test_b3_b4_paging_goes_on_in_every_shape_and_ends(name, shape, ask, stub):
    for n in range(3):
        stub.answer(PAGES[shape]([{"id": f"id-{n}"}], n < 2))
    rows = ask(lambda c: LISTS[name][1](c).all(limit=1))
    assert [row.id for row in rows] == ["id-0", "id-1", "id-2"]
    assert [request.query.get("cursor") for request in stub.requests] == [None, "id-0", "id-1"]


def test_b3_a_page_knows_its_place(ask, stub):
    stub.answer(PAGES["meta.pagination"]([ROW], True))
    meta = ask(lambda c: c.memory.list(limit=1)).meta
    assert (meta.has_more, meta.cursor, meta.total) == (True, ID, 3)


def test_b4_a_cursor_on_the_last_page_does_not_count(ask, stub):
    stub.answer(PAGES["data.pagination"]([ROW], False))
    meta = ask(lambda c: c.skill.list()).meta
    assert (meta.has_more, meta.cursor) == (False, None)


def test_more_without_a_cursor_does_not_page_for_ever(ask, says):
    says([ROW], pagination={"hasMore": True, "cursor": None})
    meta = ask(lambda c: c.memory.list()).meta
    assert (meta.has_more, meta.cursor) == (False, None)


def test_b5_the_sync_prompt_is_asked_for_as_json(ask, says, stub):
    says({"systemPrompt": "# OneBrain", "writeBack": None, "meta": {"tokenEstimate": 133}})
    prompt = ask(lambda c: c.connect.read("brief", format="json"))
    assert stub.last.headers["accept"] == "application/json"
    assert (prompt.system_prompt, prompt.token_count, prompt.write_back) == ("# OneBrain", 133, None)


def test_b5_the_sync_prompt_can_be_plain_text(ask, stub):
    stub.answer("# OneBrain")
    assert ask(lambda c: c.connect.read_text()) == "# OneBrain"
    assert stub.last.headers["accept"] == "text/plain"


def test_b6_an_answer_that_is_not_json_is_an_error(ask, stub):
    stub.answer("<html>", headers={"content-type": "text/html"})
    with pytest.raises(OneBrainResponseError, match="text/html"):
        ask(lambda c: c.memory.get(ID))


@pytest.mark.parametrize("kind", [OneBrain, AsyncOneBrain])
def test_b7_a_client_shows_where_it_goes_and_no_key(kind, key):
    shown = repr(kind(key, region="us"))
    assert "https://onebrain.rocks/api/us" in shown
    assert key not in shown


def test_b8_a_string_as_error_is_read(ask, stub):
    stub.answer({"error": "nope"}, 404)
    with pytest.raises(OneBrainNotFoundError, match="nope"):
        ask(lambda c: c.memory.get(ID))


def test_b8_an_unknown_route_is_told_from_a_missing_thing(ask, stub):
    said = {"message": "Route POST:/v1/skills/x/execute not found", "error": "Not Found", "statusCode": 404}
    stub.answer(said, 404)
    with pytest.raises(UnsupportedByServer):
        ask(lambda c: c.skill.execute(ID, input="x"))


def test_b9_null_meta_is_read(ask, stub):
    stub.answer({"data": ROW, "meta": None})
    assert ask(lambda c: c.memory.get(ID)).content == "b"
    stub.answer({"data": [ROW], "meta": None})
    assert len(ask(lambda c: c.memory.list())) == 1


@pytest.mark.parametrize(("status", "kind"), [(409, OneBrainConflictError), (500, OneBrainInternalError)])
def test_b10_conflicts_and_failures_have_their_errors(status, kind, ask, stub):
    stub.answer({"error": {"code": "X", "message": "no"}, "meta": {"requestId": "r-9"}}, status)
    with pytest.raises(kind) as raised:
        ask(lambda c: c.memory.create("x"))
    assert (raised.value.status_code, raised.value.code, raised.value.request_id) == (status, "X", "r-9")


@pytest.mark.parametrize("attempts", [-1, -7])
def test_b16_negative_retries_are_refused_at_once(attempts):
    with pytest.raises(ConfigurationError, match="max_retries"):
        OneBrain("ob_a_b", max_retries=attempts)


BY_ID = [
    lambda c, id: c.memory.get(id),
    lambda c, id: c.memory.update(id, title="x"),
    lambda c, id: c.memory.delete(id),
    lambda c, id: c.entity.get(id),
    lambda c, id: c.entity.link(id, ID, relation="r"),
    lambda c, id: c.entity.link(ID, id, relation="r"),
    lambda c, id: c.entity.graph(id),
    lambda c, id: c.entity.merge(source_id=ID, target_id=id),
    lambda c, id: c.project.delete(id),
    lambda c, id: c.project.unlink_memory(id, ID),
    lambda c, id: c.api_keys.revoke(id),
    lambda c, id: c.skill.execute(id, input="x"),
    lambda c, id: c.briefing.get(id),
    lambda c, id: c.connect.disconnect(id),
]


@pytest.mark.parametrize("id", ["", " ", ".", ".."])
@pytest.mark.parametrize("call", BY_ID)
def test_b17_an_empty_id_never_leaves(call, id, ask, stub):
    with pytest.raises(OneBrainValidationError):
        ask(lambda c: call(c, id))
    assert stub.requests == []


def test_an_id_is_one_segment_of_the_path_whatever_is_in_it(ask, says, stub):
    says(ROW)
    ask(lambda c: c.memory.get("a/b?c#d"))
    assert stub.last.path == "/v1/memory/a%2Fb%3Fc%23d"


@pytest.mark.parametrize("environment", [None, "", "  "])
@pytest.mark.parametrize("given", [None, "", "  "])
@pytest.mark.parametrize("kind", [OneBrain, AsyncOneBrain])
def test_b18_without_a_key_one_error_says_so_and_claims_no_status(kind, given, environment, monkeypatch):
    monkeypatch.delenv("ONEBRAIN_API_KEY", raising=False)
    if environment is not None:
        monkeypatch.setenv("ONEBRAIN_API_KEY", environment)
    with pytest.raises(OneBrainAuthenticationError, match="ONEBRAIN_API_KEY") as raised:
        kind(given)
    assert raised.value.status_code is None


def test_b19_none_empties_a_field(ask, says, stub):
    says({"id": ID})
    ask(lambda c: c.entity.update(ID, description=None, metadata=None))
    assert stub.last.body == {"description": None, "metadata": None}
    says({"id": ID})
    ask(lambda c: c.project.update(ID, name="x"))
    assert stub.last.body == {"name": "x"}


def test_b20_a_key_without_scopes_asks_for_all_of_them(ask, says, stub):
    says({"id": "k", "fullKey": "ob_1_2"}, 201)
    assert ask(lambda c: c.api_keys.create(name="Production Server", expires_in_days=90)).key == "ob_1_2"
    assert len(stub.last.body["scopes"]) == 7
    assert stub.last.body["expiresInDays"] == 90


def test_b21_a_wrong_argument_is_a_type_error_in_both_colours(ask):
    for call in (
        lambda c: c.memory.create("x", colour="red"),
        lambda c: c.memory.search("x", k=3),
        lambda c: c.memory.list(max_results=5),
        lambda c: c.memory.all(max_results=5),
    ):
        with pytest.raises(TypeError, match="has no argument"):
            ask(call)


def test_b22_answers_have_the_names_that_their_types_say(ask, says):
    says({**ROW, "sourceType": "user_input", "createdAt": "2026-11-20T22:48:32.491Z", "newField": {"x": 1}})
    memory = ask(lambda c: c.memory.get(ID))
    assert memory.source_type == "user_input"
    assert memory.created_at.isoformat() == "2026-11-20T22:48:32.491000+00:00"
    assert memory.newField == {"x": 1}
    with pytest.raises(Exception, match="frozen"):
        memory.title = "x"


DELETES = [
    lambda c: c.memory.delete(ID),
    lambda c: c.entity.delete(ID),
    lambda c: c.entity.remove_link(ID, ID),
    lambda c: c.project.delete(ID),
    lambda c: c.project.remove_memory_link(ID, ID),
    lambda c: c.api_keys.revoke(ID),
]


@pytest.mark.parametrize("call", DELETES)
def test_b23_a_delete_has_neither_body_nor_content_type(call, ask, says, stub):
    says(status=204)
    assert ask(call) is None
    assert "content-type" not in stub.last.headers
    assert stub.last.content == b""


def test_b24_a_context_has_what_it_promises(ask, says):
    says(
        {"profile": {"summary": "Engineer"}, "recentMemories": [ROW], "topEntities": [], "activeProjects": []}
    )
    context = ask(lambda c: c.brain.context())
    assert context.system_prompt == "## User Profile\nEngineer\n\n## Known Facts & Memories\n- [fact] t: b"
    assert [memory.id for memory in context.memories] == [ID]
    assert context.token_count > 0


@pytest.mark.parametrize("name", ["memories", "changes"])
def test_b24_a_delta_is_read_in_both_forms(name, ask, says, stub):
    says({name: [ROW], "count": 1, "since": "2026-01-01T00:00:00.000Z", "until": "2026-01-02T00:00:00.000Z"})
    delta = ask(lambda c: c.connect.delta("2026-01-01T02:00:00+02:00"))
    assert [change.id for change in delta] == [ID]
    assert delta.complete
    assert stub.last.query == {"since": "2026-01-01T00:00:00.000Z"}


def test_a_delta_that_moves_the_servers_clock_is_not_repeated(ask, stub):
    stub.answer({"error": {"code": "X", "message": "no"}}, 503)
    with pytest.raises(OneBrainInternalError):
        ask(lambda c: c.connect.delta())
    assert len(stub.requests) == 1


def test_b25_trust_is_taken_back_by_the_route_that_works(ask, says, stub):
    says({"id": "k", "trustLevel": "review"})
    assert ask(lambda c: c.api_keys.update_trust_level("k", "review")).trust_level == "review"
    assert (stub.last.method, stub.last.path) == ("PATCH", "/v1/api-keys/k")


def test_b26_nothing_of_the_wire_is_missing():
    client = OneBrain("ob_a_b")
    for path in (
        "memory.batch", "memory.upload", "memory.import_bulk", "memory.consolidate", "tags.add", "merge.run",
        "merge.rollback", "export.json", "export.user", "agents.list", "agents.register", "agents.review",
        "skill.create", "skill.update", "skill.delete", "skill.feedback", "briefing.create_schedule",
        "briefing.delete_trigger", "briefing.engage", "auth.register", "auth.login", "auth.refresh",
    ):  # fmt: skip
        found = client
        for name in path.split("."):
            found = getattr(found, name)
        assert callable(found), path
    client.close()


def test_every_method_exists_in_both_colours_and_says_what_it_does():
    sync, twin = OneBrain("ob_a_b"), AsyncOneBrain("ob_a_b")
    checked = 0
    for name, resource in vars(sync).items():
        for method, shown in inspect.getmembers(type(resource), lambda member: isinstance(member, endpoint)):
            if method.startswith("_"):
                continue
            assert shown.__doc__, f"{name}.{method}"
            assert not inspect.iscoroutinefunction(getattr(resource, method))
            assert inspect.iscoroutinefunction(getattr(getattr(twin, name), method)), f"{name}.{method}"
            checked += 1
    assert checked > 100
    sync.close()


def test_a6_what_a_search_finds_has_its_source_and_time_where_the_server_says_them(ask, says):
    row = {**ROW, "score": 0.5, "sourceType": "user_input", "createdAt": "2026-11-20T22:48:32.491Z"}
    says({"results": [row], "searchMode": "hybrid"})
    (hit,) = ask(lambda c: c.memory.search("x")).data
    assert (hit.source_type, hit.created_at.year, hit.score) == ("user_input", 2026, 0.5)


@pytest.mark.parametrize("limit", [0, 101, 200, -1, 2.5, True, "5"])
def test_a8_a_page_size_that_no_server_takes_is_refused_not_cut(limit, ask, stub):
    for _, resource in LISTS.values():
        with pytest.raises(OneBrainValidationError, match="limit"):
            ask(lambda c, resource=resource: resource(c).list(limit=limit))
    assert stub.requests == []


@pytest.mark.parametrize(
    ("content", "title"),
    [
        ("\nx", "x"),
        ("  First line \nsecond", "First line"),
        ("word " * 200, ("word " * 99).strip() + " …"),
        ("x" * 600, "x" * 498 + " …"),
        ("🪟" * 400, "🪟" * 249 + " …"),
    ],
)
def test_a9_a_title_is_made_of_the_first_line_that_has_one(content, title, ask, says, stub):
    says(ROW)
    ask(lambda c: c.memory.create(content))
    assert stub.last.body["title"] == title
    assert len(stub.last.body["title"].encode("utf-16-le")) // 2 <= 500
    assert stub.last.body["body"] == content


@pytest.mark.parametrize("content", ["", "  \n", None])
def test_a_blank_memory_is_refused_before_anything_is_sent(content, ask, stub):
    with pytest.raises(OneBrainValidationError):
        ask(lambda c: c.memory.create(content))
    assert stub.requests == []


def test_an_id_that_is_no_uuid_is_not_found_although_the_server_fails(ask, stub):
    stub.answer({"error": {"code": "INTERNAL_ERROR", "message": "Internal server error"}}, 500)
    with pytest.raises(OneBrainNotFoundError, match="UUID"):
        ask(lambda c: c.memory.get("mem_nonexistent"))
    # It would fail for ever.
    assert len(stub.requests) == 1


def test_a_failure_of_our_own_server_stays_a_failure_whatever_the_id(ask, stub):
    crash = {"error": {"code": "INTERNAL_ERROR", "message": "Internal server error"}}
    stub.answer(crash, 500, headers={"x-onebrain-server": "python"})
    with pytest.raises(OneBrainInternalError):
        ask(lambda c: c.memory.get("mem_nonexistent"), retry=RetryPolicy(max_retries=0))


def test_the_published_names_are_all_there():
    for name in ("OneBrain", "AsyncOneBrain", *(n for n in dir(onebrain) if n.startswith("OneBrain"))):
        assert getattr(onebrain, name)
    with pytest.raises(AttributeError, match="OneBrian"):
        onebrain.OneBrian  # noqa: B018
