"""Slack's export: a ZIP archive or a folder with a folder for each channel, and a file for each day."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from onebrain._core.codec import as_object
from onebrain.importing.entries import Draft, Entry, Row, Skipped, as_row, scope_of
from onebrain.importing.json_stream import items
from onebrain.importing.rows import placed
from onebrain.importing.sample import Sample
from onebrain.importing.sources import Source

_DAY: Final = re.compile(r"\d{4}-\d{2}-\d{2}\.json$")
_LISTS: Final = ("channels.json", "groups.json", "dms.json", "mpims.json")
# Messages that say that somebody joined, and the like.
_NOTICES: Final = re.compile(
    r"(channel|group)_(join|leave|topic|purpose|name|archive|unarchive)$|bot_(add|remove)$"
)
_MENTION: Final = re.compile(r"<@([A-Z0-9]+)(?:\|[^<>]*)?>")


def detects(sample: Sample) -> bool:
    """Whether it is an export of Slack, or the file of one day."""
    if not sample.plain:
        return "channels.json" in sample.names and "users.json" in sample.names
    row = sample.first
    return row.get("type") == "message" and "ts" in row


def read(source: Source) -> Iterator[Entry]:
    """Return the messages of people and bots, with the names of users in place of their ids in the text."""
    names: dict[str, str] = {}
    for part in source.named("users.json") if not source.is_plain else ():
        for item in items(part.chunks()):
            user = as_object(item.value)
            profile = as_object(user.get("profile"))
            name = profile.get("display_name") or user.get("real_name") or user.get("name")
            if isinstance(user.get("id"), str) and name:
                names[user["id"]] = str(name)
    for part in source.parts:
        folder, _, file = part.name.rpartition("/")
        if not source.is_plain and not (_DAY.match(file) and folder):
            continue
        channel = folder.rpartition("/")[2]
        for item in items(part.chunks()):
            place = placed(part, item.place)
            row = as_row(item.value)
            if item.reason is not None or row is None:
                yield Skipped(place, item.reason or "is no JSON object")
            elif (found := _message(row, place, channel, names)) is not None:
                yield found


def _message(row: Row, place: str, channel: str, names: Mapping[str, str]) -> Entry | None:
    text = row.text("text")
    if not text.strip() or _NOTICES.match(str(row.left.get("subtype") or "")):
        return None
    user = row.take("user", "bot_id", "username")
    profile = row.object("user_profile")
    moment = row.left.pop("ts", None)
    row.left.pop("blocks", None)
    row.left.pop("client_msg_id", None)
    name = names.get(str(user)) or profile.get("display_name") or profile.get("real_name")
    about = {"channel": channel or None, "speaker": name or None}
    thread = row.left.get("thread_ts")
    session = f"{channel}/{thread}" if thread and channel else thread or channel or None
    dated = Row({"ts": moment})
    fields: dict[str, Any] = {
        "content": _MENTION.sub(lambda match: f"@{names.get(match[1], match[1])}", text),
        "id": f"{channel}/{moment}/{user}" if moment is not None else None,
        "scope": scope_of(user, None, session),
        "type": "message",
        "created_at": dated.time("ts"),
        "source": "slack",
    }
    return Draft(place, {**fields, "metadata": row.rest("slack", **about)})
