"""Keys and headers: the one place that checks them, for every client.

A key often comes from a file, so white space around it is removed. Every other character that HTTP would refuse is an
error here: an HTTP library would quote the whole key in its message.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from typing import Any

from pydantic import SecretStr

from onebrain.errors import ConfigurationError

_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")


def credential(name: str, given: str | SecretStr | None, *variables: str) -> str | None:
    """Return the key of a service, or None if there is none.

    Args:
        name: The argument's name, for messages.
        given: The key that the caller passed.
        variables: Environment variables that are read if `given` is None or blank, best first.

    Raises:
        ConfigurationError: The key is not text, or holds a character that no key has.
    """
    key = _text(name, given)
    for variable in variables:
        if key:
            break
        name, key = f"${variable}", _text(variable, os.environ.get(variable))
    if not key:
        return None
    if not key.isascii() or any(character <= " " or character == "\x7f" for character in key):
        raise ConfigurationError(
            f"{name}: holds a space or a character that no key has; was it copied whole?"
        )
    return key


def _text(name: str, given: Any) -> str:
    value = given.get_secret_value() if isinstance(given, SecretStr) else given
    if value is None:
        return ""
    if not isinstance(value, str):
        raise ConfigurationError(f"{name}: must be a string, not {type(value).__name__}")
    return value.strip()


def checked_headers(headers: Mapping[str, str]) -> Mapping[str, str]:
    """Return `headers`; raise if HTTP cannot carry one of them. A message names the header, never its value."""
    for name, value in headers.items():
        if not isinstance(name, str) or not _HEADER_NAME.fullmatch(name):
            raise ConfigurationError(f"headers: {name!r:.40} is not the name of a header")
        if not isinstance(value, str) or not value.isascii() or any(c in value for c in "\r\n\0"):
            raise ConfigurationError(f"headers: the value of {name!r:.40} must be printable ASCII text")
    return headers
