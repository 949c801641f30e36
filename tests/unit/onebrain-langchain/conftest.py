from __future__ import annotations

from typing import Any

import pytest
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, BaseMessage
from langchain_core.outputs import ChatGeneration, ChatResult
from pydantic import Field

import onebrain
from onebrain.testing.reference import reference_brain


@pytest.fixture(params=["reference", "sqlite"])
def brain(request):
    brain = reference_brain() if request.param == "reference" else onebrain.connect("sqlite://")
    yield brain
    brain.close()


@pytest.fixture
def url(tmp_path):
    return f"sqlite:///{tmp_path / 'brain.db'}"


@pytest.fixture(params=["sync", "async"])
def call(request):
    """Calls a method, or in async tests its twin with an `a` in front."""

    async def call(method, *args, **kwargs):
        if request.param == "sync":
            return method(*args, **kwargs)
        return await getattr(method.__self__, f"a{method.__name__}")(*args, **kwargs)

    call.asynchronous = request.param == "async"
    return call


class ScriptedModel(BaseChatModel):
    """Answers with what it was given, in turn, and keeps what it was asked."""

    answers: list[Any]
    seen: list[list[BaseMessage]] = Field(default_factory=list)

    @property
    def _llm_type(self):
        return "scripted"

    def bind_tools(self, tools, **kwargs):
        return self

    def _generate(self, messages, stop=None, run_manager=None, **kwargs):
        self.seen.append(list(messages))
        answer = self.answers.pop(0)
        answer = answer(messages) if callable(answer) else answer
        message = AIMessage(answer) if isinstance(answer, str) else answer
        return ChatResult(generations=[ChatGeneration(message=message)])

    async def _agenerate(self, messages, stop=None, run_manager=None, **kwargs):
        return self._generate(messages)

    @property
    def prompts(self):
        """The system message of each call, as text."""
        return [
            next((str(message.text) for message in messages if message.type == "system"), "")
            for messages in self.seen
        ]


@pytest.fixture
def scripted():
    def scripted(*answers):
        return ScriptedModel(answers=list(answers))

    return scripted
