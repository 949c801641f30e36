"""JSON-RPC over POST /v1/mcp."""

from __future__ import annotations

import pytest

from onebrain.errors import OneBrainError, OneBrainResponseError, OneBrainValidationError, Unsupported

RESULT = {"content": [{"type": "text", "text": "Maria prefers window seats"}], "isError": False}


@pytest.fixture
def answer(stub):
    """Answer the next call with a result or an error, under its own id."""

    def script(**body):
        stub.answer(lambda got: {"jsonrpc": "2.0", "id": got.json["id"], **body})

    return script


def test_a_tool_is_called(client, stub, answer):
    answer(result=RESULT)
    result = client(lambda c: c.mcp.call("search_memory", {"query": "seats", "limit": 3}))
    assert (result.text, result.is_error) == ("Maria prefers window seats", False)
    assert (stub.only.method, stub.only.path) == ("POST", "/v1/mcp")
    assert stub.only.headers["authorization"] == "Bearer mv_0123456789abcdef"
    assert stub.only.json == {
        "jsonrpc": "2.0",
        "id": stub.only.json["id"],
        "method": "tools/call",
        "params": {"name": "search_memory", "arguments": {"query": "seats", "limit": 3}},
    }


def test_tools_are_listed(client, stub, answer):
    answer(result={"tools": [{"name": "search_memory", "inputSchema": {}}]})
    assert client(lambda c: c.mcp.tools())[0]["name"] == "search_memory"
    assert (stub.only.json["method"], "params" in stub.only.json) == ("tools/list", False)


def test_a_tool_that_fails_says_so_in_its_result(client, stub, answer):
    answer(result={"content": [{"type": "text", "text": "no such collection"}], "isError": True})
    result = client(lambda c: c.mcp.call("get_memory"))
    assert result.is_error
    assert result.text == "no such collection"


@pytest.mark.parametrize(
    ("code", "kind"), [(-32601, Unsupported), (-32602, OneBrainValidationError), (-32000, OneBrainError)]
)
def test_an_error_of_json_rpc_is_raised(client, stub, answer, code, kind):
    answer(error={"code": code, "message": "that went wrong"})
    with pytest.raises(OneBrainError) as caught:
        client(lambda c: c.mcp.request("x/y", {"a": 1}))
    assert type(caught.value) is kind
    assert caught.value.code == str(code)


@pytest.mark.parametrize("body", [[], {"jsonrpc": "2.0", "id": "another", "result": {}}, {"result": {}}])
def test_an_answer_to_another_call_is_refused(client, stub, answer, body):
    stub.answer(body)
    with pytest.raises(OneBrainResponseError):
        client(lambda c: c.mcp.request("ping"))
