"""Hooks of schemathesis for `test_openapi`: what looks like a failure and is none, each with its reason.

All checks run on all operations. A finding is dropped here where the server said why it refused a request, and no schema
can say so beforehand; everything else fails the run.
"""

from __future__ import annotations

import os
import re

import schemathesis

# Reasons to refuse a request of the documented shape, in the server's words.
_REASONS = re.compile(
    "|".join(
        [
            # What only the server gave out: the schema of a cursor is text.
            r"not a cursor",
            # Two fields that must differ, or depend on one another.
            r"must be another entity than keepId",
            r"cannot be linked to itself",
            r"cannot be promoted to",
            r"ids and filter do not go together",
            r"links have no history",
            r"nothing at all would mean everything",
            r"say whose inbox, in the query or as the header",
            r"is needed; to follow one namespace",
            r"q or keyword is required",
            r"Give at least one of text, importance, category and metadata",
            r"must be the tenant's name",
            # Names and events that have a meaning of their own.
            r"names that begin with anonymous: stand for no agent",
            r"those that begin with _ are the server's own",
            r"events: must be \* or some of",
            r"stream: there is no streaming",
            # The clock and the calendar.
            r"must be in the future",
            r"where the history that is kept begins",
            r"must be today, or a date such as",
            r"must be RFC 3339 text",
            r"must be ISO 8601 text",
            r"must be within the years",
            # Languages of their own: filters, cron, time zones.
            r"\bfilter\b",
            r"cronExpression",
            r"must be the name of a time zone",
            # The world outside: pages, webhooks, models, mail.
            r"The page (was not|could not be) fetched",
            r"the URL's host has no address",
            r"the URL must begin with https://",
            r"The model was tried and not saved",
            r"this server sends no mail",
            # What a file is, its name and its bytes say.
            r"files can be read",
            # What is there already: a space's vectors have one length, a collection one name.
            r"holds vectors of another kind",
            r"There is a collection of this name already",
            # JSON-RPC's own failures, for a batch that is empty or too long.
            r"A batch has 1 to 20 calls",
        ]
    )
)


# What this server does not do, or its operator has not set up: documented answers of 501 and 503.
_NOT_OFFERED = re.compile(
    r"[Tt]his (version of the )?server (has|keeps|sends|stores|takes) |No language model is configured"
)
# Operations on two things: 404 says that the other one is not there, not the one that was just made.
_ON_TWO = re.compile(r"/v1/(entities|memory|projects)/\{id\}/(links|relations|tags|memory-links)")


if "ONEBRAIN_FUZZ" not in os.environ:

    @schemathesis.hook
    def before_load_schema(context, raw_schema) -> None:
        """Keep texts short in the short run: a pattern for tens of thousands of characters takes seconds to compile."""
        _shorten(raw_schema)


def _shorten(schema) -> None:
    if isinstance(schema, dict):
        if "pattern" in schema and isinstance(schema.get("maxLength"), int):
            schema["maxLength"] = min(schema["maxLength"], 100)
        schema = [*schema.values()]
    if isinstance(schema, list):
        for part in schema:
            _shorten(part)


@schemathesis.hook
def filter_failure(context, failure, case, response) -> bool:
    """Return whether a failure is one."""
    match failure.code:
        case "ST101":
            # not_a_server_error.
            return response.status_code not in (501, 503) or not _NOT_OFFERED.search(response.text)
        case "ST202":
            # positive_data_acceptance: a request of the documented shape was refused.
            return not _REASONS.search(response.text)
        case "ST302":
            # ensure_resource_availability: 404 for what was just made.
            if case.path.startswith("/compat/herobrain/"):
                # A tenantId is any name: with another one than the memory was stored with, it is not there.
                return "tenantId" not in {
                    **(case.query or {}),
                    **(case.body if isinstance(case.body, dict) else {}),
                }
            return not _ON_TWO.search(case.path)
    return True
