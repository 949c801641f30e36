from __future__ import annotations

import pytest
from langchain_tests.integration_tests import RetrieversIntegrationTests

from onebrain_langchain import OneBrainRetriever


class _Filled:
    @pytest.fixture(autouse=True)
    def _fill(self, brain):
        brain.store_many(
            f"Maria likes window seats, note {number}" for number in range(5)
        ).raise_for_failures()
        self.brain = brain


class TestRetriever(_Filled, RetrieversIntegrationTests):
    @property
    def retriever_constructor(self):
        return OneBrainRetriever

    @property
    def retriever_constructor_params(self):
        return {"brain": self.brain}

    @property
    def retriever_query_example(self):
        return "window seats"


class TestRetrieverWithTopK(_Filled, RetrieversIntegrationTests):
    @property
    def num_results_arg_name(self):
        return "top_k"

    @property
    def retriever_constructor(self):
        return OneBrainRetriever

    @property
    def retriever_constructor_params(self):
        return {"brain": self.brain}

    @property
    def retriever_query_example(self):
        return "window seats"
