"""The environment variables of a server: each with its values, and a refusal of all others."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Iterator, Mapping
from difflib import get_close_matches
from typing import Annotated, Any, Final, Literal

from pydantic import BeforeValidator, Field, ValidationError
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from onebrain.errors import ConfigurationError, OneBrainError
from onebrain_server.settings import ABSENT, FREE_PLAN, LogLevel

# A century: a date so far from now is one that can be held.
_MOST_DAYS: Final = 36_500
# The host of an address is checked for characters that would end it, or mean something else to another reader of it.
_ADDRESS: Final = re.compile(
    r"https?://(?P<user>[^\x00-\x20\x7f\\/?#@]*@)?(?:[^\x00-\x20\x7f\\/?#@*:\[\]]+|\[[0-9a-f:.]+\])"
    r"(?::(?P<port>[0-9]{1,5}))?(?P<path>/[^\x00-\x20\x7f\\?#]*)?",
    re.IGNORECASE,
)
_ON, _OFF = ("yes", "true", "on", "1"), ("no", "false", "off", "0")


def _switch(on: tuple[str, ...] = _ON, off: tuple[str, ...] = _OFF) -> BeforeValidator:
    def read(text: str) -> bool:
        if text.lower() not in on + off:
            raise ValueError(f"must be {_or(*on, *off)}")
        return text.lower() in on

    return BeforeValidator(read)


def _one_of(**meanings: Any) -> BeforeValidator:
    def read(text: str) -> Any:
        if text.lower() not in meanings:
            raise ValueError(f"must be {_or(*dict.fromkeys(meanings))}")
        return meanings[text.lower()]

    return BeforeValidator(read)


def _or(*values: str) -> str:
    return f"{', '.join(values[:-1])} or {values[-1]}"


def _whole(least: int, most: int | None = None) -> BeforeValidator:
    meant = f"must be a whole number of at least {least}" + ("" if most is None else f" and at most {most}")

    def read(text: str) -> int:
        if not (text.isascii() and text.isdecimal() and len(text) <= 18 and least <= int(text)):
            raise ValueError(meant)
        if most is not None and int(text) > most:
            raise ValueError(meant)
        return int(text)

    return BeforeValidator(read)


def _key(text: str) -> bytes:
    if len(text) != 64 or not all(char in "0123456789abcdefABCDEF" for char in text):
        raise ValueError("must be 64 hex digits; make one with openssl rand -hex 32")
    return bytes.fromhex(text)


def _on_the_web(text: str) -> re.Match[str] | None:
    """Return the parts of an ``http`` or ``https`` address; None for text that is none, or has a query or fragment."""
    found = _ADDRESS.fullmatch(text)
    return found if found is not None and 0 < int(found["port"] or 80) <= 65535 else None


def _origins(text: str) -> tuple[str, ...]:
    given = tuple(part.strip().rstrip("/") for part in text.split(",") if part.strip())
    for origin in given:
        found = _on_the_web(origin)
        if origin != "*" and (found is None or found["user"] or found["path"]):
            raise ValueError("must be origins such as https://app.example.com, separated by commas")
    return given


def _proxies(text: str) -> tuple[str, ...]:
    found = tuple(part.strip() for part in text.split(",") if part.strip())
    for proxy in found:
        try:
            if not ipaddress.ip_network(proxy, strict=False).prefixlen:
                raise ValueError
        except ValueError:
            raise ValueError(
                "must be addresses or networks of proxies, such as 10.0.0.7 or 10.0.0.0/24, separated by commas; "
                "'*' or a network of all addresses would let every client say where it comes from"
            ) from None
    return found


def _web_address(text: str) -> str:
    if _on_the_web(text) is None:
        raise ValueError("must begin with http:// or https:// and name a host, without a query")
    return text.rstrip("/")


def _reranker(text: str) -> str:
    # Imported here, because most servers have no reranker.
    from onebrain.memory.reranking import from_name

    try:
        from_name(text)
    except OneBrainError:
        raise ValueError(
            "must be the name of a reranker, KIND:MODEL or KIND+URL#MODEL, such as "
            "vllm+http://localhost:8000/v1/rerank#bge-reranker-v2-m3"
        ) from None
    return text


def _told_address(text: str) -> str:
    found = _on_the_web(text)
    if found is None or found["user"]:
        raise ValueError(
            "must begin with http:// or https:// and name a host, without a query, user or password: agents are told it"
        )
    return text.rstrip("/")


def _large_space(text: str) -> int | Literal["never"]:
    if text.lower() == "never":
        return "never"
    if not (text.isascii() and text.isdecimal() and len(text) <= 18):
        raise ValueError("must be a whole number of at least 0, or never")
    return int(text)


def _allowances(text: str) -> Mapping[str, int]:
    """Read ``memories=500,context_calls_per_month=100``; a name left out keeps its default, 0 means no limit."""
    found = dict(FREE_PLAN)
    for part in text.split(","):
        name, _, number = (piece.strip() for piece in part.partition("="))
        if not part.strip():
            continue
        if name not in FREE_PLAN:
            raise ValueError(f"must name allowances only: {name!r:.40} is none of {', '.join(FREE_PLAN)}")
        if not (number.isascii() and number.isdecimal() and len(number) <= 18):
            raise ValueError(f"must give {name} a whole number of at least 0")
        found[name] = int(number)
    return found


_Key = Annotated[bytes, BeforeValidator(_key)]
_Url = Annotated[str, BeforeValidator(_web_address)]


class Environment(BaseSettings):
    """Every variable, under the name of its setting; a variable that is not set keeps the default of `Settings`."""

    model_config = SettingsConfigDict(extra="forbid", validate_default=False, hide_input_in_errors=True)

    database_url: str = Field("", alias="DATABASE_URL")
    host: str = Field("", alias="HOST")
    port: Annotated[int, _whole(0, 65535)] = Field(0, alias="PORT")
    workers: Annotated[int, _whole(1)] = Field(1, alias="WORKERS")
    jwt_secret: str = Field("", alias="JWT_SECRET")
    development: Annotated[bool, _one_of(development=True, production=False)] = Field(False, alias="NODE_ENV")
    cors_origins: Annotated[tuple[str, ...], BeforeValidator(_origins)] = Field((), alias="CORS_ORIGINS")
    rate_limit_window: Annotated[int, _whole(1, 30 * 86_400)] = Field(1, alias="RATE_LIMIT_WINDOW")
    rate_limit_max: Annotated[int, _whole(0)] = Field(0, alias="RATE_LIMIT_MAX")
    rate_limit_write_max: Annotated[int, _whole(1)] = Field(1, alias="RATE_LIMIT_WRITE_MAX")
    log_level: Annotated[
        LogLevel, _one_of(debug="debug", info="info", warn="warn", warning="warn", error="error")
    ] = Field("info", alias="LOG_LEVEL")
    memory_encryption_key: _Key = Field(b"", alias="MEMORY_ENCRYPTION_KEY")
    credentials_key: _Key = Field(b"", alias="CREDENTIALS_KEY")
    credentials_key_before: _Key = Field(b"", alias="CREDENTIALS_KEY_BEFORE")
    max_metadata_bytes: Annotated[int, _whole(1024, 8 * 1024 * 1024)] = Field(0, alias="MAX_METADATA_BYTES")
    max_page_bytes: Annotated[int, _whole(1024 * 1024)] = Field(0, alias="MAX_PAGE_BYTES")
    proxies: Annotated[tuple[str, ...], BeforeValidator(_proxies)] = Field((), alias="FORWARDED_ALLOW_IPS")
    free_plan: Annotated[Mapping[str, int], BeforeValidator(_allowances)] = Field(
        {}, alias="FREE_PLAN_LIMITS"
    )
    registration: Annotated[bool, _one_of(open=True, closed=False)] = Field(True, alias="REGISTRATION")
    private_addresses: Annotated[bool, _switch()] = Field(False, alias="ALLOW_PRIVATE_ADDRESSES")
    model_url: _Url = Field("", alias="MODEL_URL")
    model_key: str = Field("", alias="MODEL_API_KEY")
    model_name: str = Field("", alias="MODEL_NAME")
    reranker: Annotated[str, BeforeValidator(_reranker)] = Field("", alias="RERANKER")
    public_url: Annotated[str, BeforeValidator(_told_address)] = Field("", alias="PUBLIC_URL")
    strict: Annotated[bool, _switch()] = Field(False, alias="STRICT")
    brrain_idempotent_replay: Annotated[bool, _switch()] = Field(False, alias="BRRAIN_IDEMPOTENT_REPLAY")
    brrain_retention_days: Annotated[int, _whole(0, _MOST_DAYS)] = Field(0, alias="BRRAIN_RETENTION_DAYS")
    history_days: Annotated[int, _whole(0, _MOST_DAYS)] = Field(0, alias="HISTORY_DAYS")
    large_space: Annotated[int | Literal["never"], BeforeValidator(_large_space)] = Field(
        0, alias="LARGE_SPACE"
    )
    index_memory: Annotated[int, _whole(1)] = Field(1, alias="INDEX_MEMORY")

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Take the variables given to `read`, and no file and no other source beside them."""
        return (init_settings,)


VARIABLES: Final[Mapping[str, FieldInfo]] = {
    str(field.alias): field for field in Environment.model_fields.values()
}


def read(given: Mapping[str, str]) -> dict[str, Any]:
    """Return the settings that variables give; a variable that is empty is not set.

    Raises:
        ConfigurationError: Variables have values that cannot be meant. The message names each with the values that can, and
            shows none that was given.
    """
    found = {name: text for name in VARIABLES if (text := (given.get(name) or "").strip())}
    try:
        environment = Environment.model_validate(found)
    except ValidationError as error:
        wrong = (f"{one['loc'][0]}: {one['msg'].removeprefix('Value error, ')}" for one in error.errors())
        raise ConfigurationError("; ".join(wrong)) from None
    settings = {name: getattr(environment, name) for name in environment.model_fields_set}
    if "index_memory" in settings:
        settings["index_memory"] *= 2**20
    return settings


def misspelt(given: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """Yield variables that are none of the server's, each with the one that its name is almost."""
    known: Callable[[str], bool] = {*VARIABLES, *ABSENT}.__contains__
    for name in sorted(given):
        if not known(name) and len(name) > 5 and not known(name.removeprefix("_")):
            near = get_close_matches(name.upper().removeprefix("ONEBRAIN_"), VARIABLES, 1, 0.88)
            if near:
                yield name, near[0]
