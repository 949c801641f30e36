from __future__ import annotations

import pytest
from langchain_tests.integration_tests import ToolsIntegrationTests
from langchain_tests.unit_tests import ToolsUnitTests

from onebrain.testing.reference import reference_brain
from onebrain_langchain import (
    OneBrainContextTool,
    OneBrainEntityTool,
    OneBrainForgetTool,
    OneBrainSearchTool,
    OneBrainUpdateTool,
    OneBrainWriteTool,
)

EXAMPLES = {
    OneBrainSearchTool: {"query": "window seats", "top_k": 3},
    OneBrainWriteTool: {"content": "Maria likes window seats", "tags": ["travel"]},
    OneBrainContextTool: {"query": "window seats"},
    OneBrainEntityTool: {"entity": "Maria"},
    OneBrainUpdateTool: {"id": "seat", "content": "Maria likes aisle seats"},
    OneBrainForgetTool: {"ids": ["seat"]},
}


def suite(kind, base):
    """The framework's suite for one tool; a class can name only one suite, and a suite only one tool."""

    class Suite(base):
        @property
        def tool_constructor(self):
            return kind

        @property
        def tool_constructor_params(self):
            brain = reference_brain()
            if brain.capabilities.client_ids:
                brain.store("Maria prefers window seats", id="seat")
            return {"brain": brain}

        @property
        def tool_invoke_params_example(self):
            return EXAMPLES[kind]

    return Suite


class TestSearchUnit(suite(OneBrainSearchTool, ToolsUnitTests)):
    @property
    def init_from_env_params(self):
        return {"ONEBRAIN_API_KEY": "ob_ab_cd"}, {}, {"name": "onebrain_search"}


class TestWriteUnit(suite(OneBrainWriteTool, ToolsUnitTests)):
    pass


class TestContextUnit(suite(OneBrainContextTool, ToolsUnitTests)):
    pass


class TestEntityUnit(suite(OneBrainEntityTool, ToolsUnitTests)):
    pass


class TestUpdateUnit(suite(OneBrainUpdateTool, ToolsUnitTests)):
    pass


class TestForgetUnit(suite(OneBrainForgetTool, ToolsUnitTests)):
    pass


class _OnEveryBrain:
    @pytest.fixture(autouse=True)
    def _fill(self, brain, needs_ids):
        brain.store("Maria prefers window seats", id="seat")
        self.brain = brain

    @property
    def tool_constructor_params(self):
        return {"brain": self.brain}


class TestSearch(_OnEveryBrain, suite(OneBrainSearchTool, ToolsIntegrationTests)):
    pass


class TestWrite(_OnEveryBrain, suite(OneBrainWriteTool, ToolsIntegrationTests)):
    pass


class TestContext(_OnEveryBrain, suite(OneBrainContextTool, ToolsIntegrationTests)):
    pass


class TestEntity(_OnEveryBrain, suite(OneBrainEntityTool, ToolsIntegrationTests)):
    pass


class TestUpdate(_OnEveryBrain, suite(OneBrainUpdateTool, ToolsIntegrationTests)):
    pass


class TestForget(_OnEveryBrain, suite(OneBrainForgetTool, ToolsIntegrationTests)):
    pass
