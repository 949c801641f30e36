from __future__ import annotations

import pytest
from langchain_tests.integration_tests.indexer import AsyncDocumentIndexTestSuite, DocumentIndexerTestSuite

from onebrain_langchain import OneBrainIndex


class TestIndex(DocumentIndexerTestSuite):
    @pytest.fixture
    def index(self, brain, needs_ids):
        return OneBrainIndex(brain=brain)


class TestAsyncIndex(AsyncDocumentIndexTestSuite):
    @pytest.fixture
    async def index(self, brain, needs_ids):
        return OneBrainIndex(brain=brain.to_async())
