"""Components that are pydantic models, with LlamaIndex's serialization."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pydantic import Field, SecretStr, ValidationError, field_serializer

from onebrain import ConfigurationError
from onebrain.errors import redact
from onebrain.frameworks.connection import ComponentModel
from onebrain.memory.models import problems


class Connected(ComponentModel):
    """The options of a component's memory, for components that are pydantic models.

    ``to_dict()`` holds the address without its secrets. For a brain that was given it holds only a description, and
    ``from_dict(data, brain=brain)`` takes the brain again: a component never moves to another memory in silence.
    """

    brain: Any = Field(default=None, repr=False)
    api_key: SecretStr | None = Field(default=None, exclude=True, repr=False)
    base_url: str | None = Field(default=None, exclude=True)

    # Editors and type checkers see the fields instead.
    if not TYPE_CHECKING:

        def __init__(self, **fields: Any) -> None:
            try:
                super().__init__(**fields)
            except ValidationError as error:
                raise ConfigurationError(f"{type(self).__name__}: {problems(error, 'options')}") from None

    def model_post_init(self, context: Any, /) -> None:
        """Check the options; open nothing."""
        # `to_dict` describes a brain that has no address, and leaves passwords out.
        if isinstance(self.brain, str):
            raise ConfigurationError(
                f"brain: this component was made with {self.brain}, which no address leads to; give it again as brain="
            )
        for name, address in (("url", self.url), ("base_url", self.base_url)):
            if address is not None and "***" in address:
                raise ConfigurationError(
                    f"{name}: its password was left out when it was saved; give {name} again"
                )
        super().model_post_init(context)

    @field_serializer("brain")
    def _brain_described(self, value: Any) -> str | None:
        return None if value is None else redact(repr(value))

    @field_serializer("url")
    def _url_redacted(self, value: str | None) -> str | None:
        return self._connection.address

    def __getstate__(self) -> dict[Any, Any]:
        # The framework's own version drops fields that it cannot pickle, with a log line; this one raises.
        where = self._connection.portable()
        return {"fields": {**self.__dict__, **where, "api_key": None, "base_url": None}}

    def __setstate__(self, state: dict[Any, Any]) -> None:
        self.__init__(**state["fields"])  # type: ignore[misc]
