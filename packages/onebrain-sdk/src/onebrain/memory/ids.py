"""Ids of users, conversations and memories: what is taken for one, and as which text it is kept."""

from onebrain._core.ids import Id as Id
from onebrain._core.ids import as_id as as_id
from onebrain._core.ids import is_id as is_id
