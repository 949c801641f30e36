"""The documentation of OneBrain's Python client, top to bottom, on both stores: what it shows works as it shows it."""

from __future__ import annotations

import uuid

import pytest

import onebrain


@pytest.fixture(params=["sqlite", "postgresql"])
def server(request):
    return request.getfixturevalue("onebrain_server" if request.param == "sqlite" else "postgresql_server")


@pytest.fixture
def api_key(server):
    return server.account(f"{uuid.uuid4().hex}@example.com")


@pytest.fixture
def client(server, api_key):
    with onebrain.OneBrain(api_key=api_key, base_url=server.url + "/api/v1") as found:
        yield found


def test_quick_start_and_memories(client):
    sarah = client.entity.create(name="Sarah", type="person")
    trip = client.project.create(name="Trip")
    memory = client.memory.create(
        content="User loves hiking in the Alps.",
        tags=["preference", "travel"],
        entity_id=sarah.id,
        project_id=trip.id,
        source="chat",
    )
    assert client.memory.get(memory.id).content == "User loves hiking in the Alps."
    for n in range(3):
        client.memory.create(content=f"The user prefers dark mode, number {n}.", tags=["preference"])
    page = client.memory.list(limit=2)
    contents = [m.content for m in page.data]
    while page.meta.has_more:
        page = client.memory.list(limit=2, cursor=page.meta.cursor)
        contents += [m.content for m in page.data]
    assert len(contents) == len(set(contents)) == 4
    updated = client.memory.update(memory.id, content="Updated content about hiking.")
    assert updated.content == "Updated content about hiking."
    results = client.memory.search(
        query="hiking preferences", limit=10, entity_id=sarah.id, project_id=trip.id, tags=["preference"]
    )
    assert [result.content for result in results.data] == ["Updated content about hiking."]
    assert results.data[0].score > 0
    extracted = client.memory.extract(
        text="I had a great meeting with Sarah. She mentioned she loves Python and is working on a new ML project.",
        entity_id=sarah.id,
    )
    assert any("Python" in mem.content for mem in extracted.data)
    imported = client.memory.import_bulk(
        memories=[
            {"content": "Fact one", "tags": ["imported"]},
            {"content": "Fact two", "tags": ["imported"]},
            {"content": "Fact three", "tags": ["imported"]},
        ],
        project_id=trip.id,
    )
    assert imported.meta.total == 3
    client.memory.delete(memory.id)
    with pytest.raises(onebrain.OneBrainNotFoundError):
        client.memory.get(memory.id)


def test_entities(client):
    entity = client.entity.create(
        name="Sarah Connor", type="person", metadata={"role": "engineer", "company": "Cyberdyne"}
    )
    assert client.entity.get(entity.id).metadata["role"] == "engineer"
    assert client.entity.update(entity.id, name="Sarah J. Connor").name == "Sarah J. Connor"
    company = client.entity.create(name="Cyberdyne", type="organization")
    client.entity.link(source_id=entity.id, target_id=company.id, relation="works_at")
    assert [found.id for found in client.entity.list(limit=20, type="person").data] == [entity.id]
    graph = client.entity.graph(entity_id=entity.id, depth=2)
    assert {node.name for node in graph.nodes} == {"Sarah J. Connor", "Cyberdyne"}
    assert [(edge.source, edge.relation, edge.target) for edge in graph.edges] == [
        (entity.id, "works_at", company.id)
    ]
    double = client.entity.create(name="S. Connor", type="person")
    memory = client.memory.create(content="Sarah likes trucks", entity_id=double.id)
    merged = client.entity.merge(source_id=double.id, target_id=entity.id)
    assert merged.links_transferred == 1
    assert [link.memory_item_id for link in client.entity.get(entity.id).links] == [memory.id]
    client.entity.delete(company.id)


def test_projects(client):
    project = client.project.create(
        name="ML Research", description="Memory space for the ML research initiative."
    )
    memory = client.memory.create(content="The model converges")
    client.project.link_memory(project_id=project.id, memory_id=memory.id)
    assert [link.memory_item_id for link in client.project.get(project.id).memory_links] == [memory.id]
    client.project.unlink_memory(project_id=project.id, memory_id=memory.id)
    assert client.project.update(project.id, name="ML Research v2").name == "ML Research v2"
    assert [found.name for found in client.project.list(limit=20).data] == ["ML Research v2"]
    client.project.delete(project.id)


def test_brain_and_context(client):
    project = client.project.create(name="Apollo")
    client.memory.create(content="The user prefers type hints in Python code", project_id=project.id)
    profile = client.brain.profile()
    assert (profile.summary, profile.key_facts, profile.preferences) == ("", (), {})
    for context in (
        client.brain.context(scope="work", project_id=project.id, max_tokens=2000),
        client.brain.context(scope="preferences"),
        client.context.get(scope="coding", language="python", project_id=project.id, max_tokens=1500),
        client.context.get("deep"),
    ):
        assert "type hints" in context.system_prompt
        assert [memory.content for memory in context.memories] == [
            "The user prefers type hints in Python code"
        ]
        assert 0 < context.token_count <= 2000
    assert {"brief", "deep", "coding"} <= {scope.name for scope in client.context.list_scopes().data}


def test_connect(client):
    connection = client.connect.register(
        agent_name="my-assistant", agent_version="1.0.0", capabilities=["memory_read", "memory_write"]
    )
    synced = client.connect.sync(
        connection_id=connection.connection_id,
        memories=[
            {"content": "User asked about Python decorators.", "source": "chat"},
            {"content": "User prefers type hints.", "source": "chat"},
        ],
    )
    assert synced.meta.total == 2
    updates = client.connect.pull(connection_id=connection.connection_id, since="2026-01-15T09:30:00Z")
    assert [mem.content for mem in updates.data] == [
        "User asked about Python decorators.",
        "User prefers type hints.",
    ]
    client.connect.disconnect(connection.connection_id)
    with pytest.raises(onebrain.OneBrainNotFoundError):
        client.connect.pull(connection_id=connection.connection_id)


def test_billing_and_keys(client):
    client.memory.create(content="one")
    client.memory.search(query="one")
    plan = client.billing.plan()
    assert (plan.name, plan.memory_limit, plan.memory_used) == ("Team", None, 1)
    usage = client.billing.usage(period="current")
    assert usage.memories_created == 1
    assert usage.search_queries == 1
    assert usage.api_calls >= 3
    assert client.billing.usage(period="2026-01").period == "2026-01"
    made = client.api_keys.create(name="Production Server", expires_in_days=90)
    assert made.key.startswith("ob_")
    assert {key.name for key in client.api_keys.list().data} == {"Production Server", "test"}
    client.api_keys.revoke(made.id)


def test_skills(client):
    client.memory.create(content="Meetings are summarized in three points")
    skill = client.skill.create(
        name="summarize-meeting",
        description="Summarize meeting notes using participant context.",
        prompt_template="Summarize this meeting for {{department}}: {{input}}\n\nContext: {{context}}",
        context_scope="work",
    )
    result = client.skill.execute(
        skill_id=skill.id, input="Notes from the meeting", variables={"department": "engineering"}
    )
    assert result.output.startswith("Summarize this meeting for engineering: Notes from the meeting")
    assert "three points" in result.output
    assert client.skill.update(skill.id, name="summarize-meeting-v2").name == "summarize-meeting-v2"
    assert [found.name for found in client.skill.list().data] == ["summarize-meeting-v2"]
    assert client.skill.get(skill.id).usage_count == 1
    client.skill.delete(skill.id)
    assert client.skill.get(skill.id).status == "dismissed"


def test_briefings(client):
    project = client.project.create(name="Apollo")
    client.memory.create(content="Decided to launch on Monday", type="decision", project_id=project.id)
    client.memory.create(content="Maria prefers window seats")
    briefing = client.briefing.get()
    assert "2 memories" in briefing.summary
    assert briefing.action_items == ("Decided to launch on Monday",)
    assert briefing.generated_at is not None
    assert client.briefing.get(date="2026-03-30").date == "2026-03-30"
    assert "1 memory" in client.briefing.get(project_id=project.id).summary
    assert list(client.briefing.list(limit=7).data) == []


async def test_async_twin(server, api_key):
    async with onebrain.AsyncOneBrain(api_key=api_key, base_url=server.url) as client:
        memory = await client.memory.create(content="Async memory creation works great.")
        results = await client.memory.search(query="async", limit=5)
        assert [r.id for r in results.data] == [memory.id]
        context = await client.brain.context(scope="coding", max_tokens=1000)
        assert "Async memory" in context.system_prompt


def test_errors(client, server):
    with pytest.raises(onebrain.OneBrainNotFoundError):
        client.memory.get("mem_nonexistent")
    with (
        onebrain.OneBrain(api_key="ob_xxx:secret", base_url=server.url) as stranger,
        pytest.raises(onebrain.OneBrainAuthenticationError),
    ):
        stranger.memory.list()
    client.tags.create("home")
    with pytest.raises(onebrain.OneBrainConflictError) as conflict:
        client.tags.create("home")
    assert conflict.value.existing_id
