"""Components that are pydantic models, with LangChain's serialization."""

from __future__ import annotations

from typing import Any, cast

from langchain_core.load.serializable import Serializable
from pydantic import ConfigDict

from onebrain.frameworks.connection import ComponentModel

# Every component repeats the options of its base, because the framework's own base class has others.
STRICT = ConfigDict(**ComponentModel.model_config)


class Connected(ComponentModel, Serializable):
    """The options of a component's memory, for components that are pydantic models."""

    model_config = STRICT

    @classmethod
    def is_lc_serializable(cls) -> bool:
        """Whether LangChain may write this component as JSON: yes, unless it was given a brain."""
        return True

    @property
    def lc_secrets(self) -> dict[str, str]:
        """The key is written as the name of the environment variable that holds it."""
        return {"api_key": "ONEBRAIN_API_KEY"}

    def to_json(self) -> Any:
        """Return LangChain's serialized form; "not implemented" for a brain or a password, which have no form."""
        if self.brain is not None:
            return self.to_json_not_implemented()
        try:
            url = self._connection.portable()["url"]
        except TypeError:
            return self.to_json_not_implemented()
        form = cast("dict[str, Any]", super().to_json())
        if form["type"] != "constructor":
            return form
        kwargs = form["kwargs"]
        kwargs.pop("base_url", None)
        if url is not None:
            kwargs["url"] = url
        if "scope" in kwargs:
            kwargs["scope"] = self.scope.model_dump(exclude_none=True)
        return form

    def __getstate__(self) -> dict[Any, Any]:
        state = super().__getstate__()
        fields = {**state["__dict__"], "api_key": None, "base_url": None, **self._connection.portable()}
        return {**state, "__dict__": fields}
