from __future__ import annotations

import pytest
from langchain_tests.integration_tests import VectorStoreIntegrationTests

from onebrain_langchain import OneBrainVectorStore


class TestWithEmbeddings(VectorStoreIntegrationTests):
    @pytest.fixture
    def vectorstore(self, brain, needs_ids, needs_vectors):
        return OneBrainVectorStore(self.get_embeddings(), brain=brain)


class TestHybrid(VectorStoreIntegrationTests):
    @pytest.fixture
    def vectorstore(self, brain, needs_ids, needs_vectors):
        return OneBrainVectorStore(self.get_embeddings(), brain=brain, search_mode="hybrid")


class TestWithTheBrainsOwnVectors(VectorStoreIntegrationTests):
    @pytest.fixture
    def vectorstore(self, brain, needs_ids, needs_own_vectors):
        return OneBrainVectorStore(brain=brain)


class TestBesideOtherDocumentsWithTheSameIds(VectorStoreIntegrationTests):
    @pytest.fixture
    def vectorstore(self, brain, needs_ids, needs_vectors):
        other = OneBrainVectorStore(self.get_embeddings(), brain=brain, space="other")
        other.add_texts(["foo", "bar", "baz"], [{"id": 9}] * 3, ids=["1", "2", "3"])
        theirs = OneBrainVectorStore(self.get_embeddings(), brain=brain, scope={"user": "mario"})
        theirs.add_texts(["foo", "bar", "baz"], [{"id": 9}] * 3, ids=["1", "2", "3"])
        return OneBrainVectorStore(self.get_embeddings(), brain=brain, scope={"user": "maria"})
