"""Ids of users, conversations and memories: the values accepted, and the text in which they are kept."""

from onebrain._core.ids import Id as Id
from onebrain._core.ids import as_id as as_id
from onebrain._core.ids import is_id as is_id
