"""Large spaces in PostgreSQL: questions to its own indexes, and how those are kept and made.

A space that is served by the database has its words in `onebrain.word`, and indexes of its own, named ``large_<key>_...``,
each over the rows of this space alone. Answers never depend on those indexes, but on how long they take: a query without
one scans. Nothing of it is kept of sealed memories.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import blake2b
from itertools import pairwise
from typing import Any, Final, Protocol

import psycopg
from psycopg import sql

from onebrain.memory.models import Scope
from onebrain_engine.index.text import VERSION, analyse
from onebrain_engine.store.postgres_codec import Vector, digest
from onebrain_engine.store.postgres_connections import Connection, behind_pooler
from onebrain_engine.store.postgres_errors import translated
from onebrain_engine.store.postgres_schema import find_vectors
from onebrain_engine.store.records import NEVER, Changes, Entry, Space

OLDEST: Final = (0, 8)  # the first pgvector that halves vectors and goes on where a filter left too few

_DIMENSIONS: Final = 4_000  # the most that an HNSW index holds of halved vectors
_EF: Final = 1_000  # the most candidates that HNSW keeps in sight
_SCANNED: Final = 100_000  # vectors that HNSW looks at before it gives up on a rare scope
_LONGEST: Final = 256  # bytes of a lexeme; a longer word stands there by its digest
_PART: Final = 500_000  # bytes of lexemes in one tsvector, which holds a megabyte
_BATCH_BYTES: Final = 16 * 2**20
# No row has this lexeme, so every row is one without it.
_EVERYTHING: Final = "!'@'"
# The policy of the table says the same, and so lets an index be used; a superuser passes by policies.
_SOUGHT: Final = " AND w.words @@ current_setting('onebrain.words')::tsquery"
# Of candidates, for the time of a query: statistics may be older than the space, and nothing here is worth compiling.
_BY_INDEX: Final[Mapping[str, str]] = {"enable_seqscan": "off", "jit": "off"}
_LOCK: Final = 0x0B5A1008 << 32  # and the space: the advisory lock of who fills it
_BUILD_MEMORY: Final = 2**30  # the most that making one index may take on the server
_ENTRY: Final = (
    'm."row", m."user", m.agent, m.session, {content}, m.created_at, m.updated_at, m.expires_at, m.importance, '
    "m.archived, {vector}"
)
_KEYS: Final[Mapping[str, tuple[str, str]]] = {  # of an order: the column, and the type of its values
    "created_at": ("m.created_at", "int8"),
    "updated_at": ("m.updated_at", "int8"),
    "importance": ("coalesce(m.importance, 0)::float4", "float4"),
    "sequence": ('m."row"', "int8"),
}


class Session(Protocol):
    """One transaction."""

    @property
    def vectors(self) -> str:
        """The schema of pgvector, as SQL writes it."""
        ...

    def run(
        self, tenant: str, statement: str, values: Sequence[Any] = (), *, binary: bool = False
    ) -> psycopg.Cursor[tuple[Any, ...]]:
        """Run one statement for a tenant."""
        ...

    def of(self, tenant: str) -> Connection:
        """Return the connection, ready for queries of a tenant."""
        ...


@dataclass(frozen=True, slots=True)
class Selected:
    """The memories of a space that a scope selects, before any filter, as an index in memory selects them."""

    scope: Scope
    include_archived: bool
    now: int

    def where(self) -> tuple[str, list[Any]]:
        """Return conditions on `onebrain.memory AS m`, each with its AND before it, and their values."""
        conditions, values = " AND (m.expires_at IS NULL OR m.expires_at > %s)", [self.now]
        if not self.include_archived:
            conditions += " AND NOT m.archived"
        parts: list[tuple[str, Any]] = [("m.agent", self.scope.agent), ("m.session", self.scope.session)]
        if self.scope.user is not None:
            parts += [("m.owner", digest(self.scope.user)), ('m."user"', self.scope.user)]
        for column, value in parts:
            if value is not None:
                conditions += f" AND {column} = %s"
                values.append(value)
        return conditions, values


@dataclass(frozen=True, slots=True)
class MemoryWords:
    """The words of one memory.

    Attributes:
        row: Its row.
        seq: The change by which it got them; None where this very transaction stores it.
        parts: See `parts`.
    """

    row: int
    seq: int | None
    parts: Sequence[tuple[int, str]]


class LargeSpace:
    """One space of one tenant in the database's own indexes, within a transaction."""

    def __init__(self, session: Session, tenant: str, space: Space) -> None:
        self._session = session
        self._tenant = tenant
        self._space = space
        # The key stands in the text of statements, so that PostgreSQL sees which of the space's indexes serve them.
        self._from = f"FROM onebrain.memory AS m WHERE m.tenant = %s AND m.space = {space.key}"

    # ---- reading ----------------------------------------------------------------------------------------------------

    def count(self, selected: Selected) -> tuple[int, int]:
        """Return the number of selected memories, and until when it is true, in microseconds."""
        where, values = selected.where()
        found = self._run(f"SELECT count(*), min(m.expires_at) {self._from}{where}", values).fetchone()
        assert found is not None
        return found[0], NEVER if found[1] is None else found[1]

    def at_least(self, count: int, *, user: str | None = None) -> bool:
        """Return whether the space, or a user in it, has at least a number of memories."""
        where, values = "", list[Any]()
        if user is not None:
            where, values = ' AND m.owner = %s AND m."user" = %s', [digest(user), user]
        statement = f"SELECT count(*) FROM (SELECT 1 {self._from}{where} LIMIT %s) AS found"
        found = self._run(statement, [*values, count]).fetchone()
        assert found is not None
        return bool(found[0] >= count)

    def some(self, selected: Selected, limit: int) -> list[int]:
        """Return rows that are selected, all where there are no more than `limit`."""
        where, values = selected.where()
        return self._rows(f'SELECT m."row" {self._from}{where} LIMIT %s', [*values, limit])

    def among(self, selected: Selected, rows: Sequence[int]) -> set[int]:
        """Return which of some rows are selected."""
        where, values = selected.where()
        statement = (
            f'SELECT m."row" FROM onebrain.memory AS m WHERE m.tenant = %s AND m.space + 0 = {self._space.key} '
            f'AND m."row" = ANY(%s){where}'
        )
        return set(self._rows(statement, [list(rows), *values]))

    def in_order(
        self, selected: Selected, order: str, after: tuple[Any, int] | None, limit: int
    ) -> list[tuple[Any, int]]:
        """Return the first keys and rows in an order, ties by row, or those behind a key and row."""
        where, values = selected.where()
        column, kind = _KEYS[order.lstrip("-")]
        way, behind = ("DESC", "<") if order.startswith("-") else ("ASC", ">")
        if after is not None:
            where += f' AND ({column}, m."row") {behind} (%s::{kind}, %s::int8)'
            values += after
        statement = (
            f'SELECT {column}, m."row" {self._from}{where} ORDER BY {column} {way}, m."row" {way} LIMIT %s'
        )
        return [(key, row) for key, row in self._run(statement, [*values, limit])]

    def piece(self, selected: Selected, after: int, limit: int) -> tuple[list[int], int]:
        """Return rows that changed behind change number `after`, in its order, and the last one's; none at the end."""
        where, values = selected.where()
        found = self._run(
            f'SELECT m."row", m.seq {self._from} AND m.seq > %s{where} ORDER BY m.seq LIMIT %s',
            [after, *values, limit],
        ).fetchall()
        return [row for row, _ in found], found[-1][1] if found else after

    def entries(self, rows: Sequence[int], *, contents: bool = True, vectors: bool = True) -> list[Entry]:
        """Return memories by row, oldest first; without their contents or vectors where these are not wanted."""
        joined = (
            'LEFT JOIN onebrain.vector AS v ON v.tenant = m.tenant AND v."row" = m."row" ' if vectors else ""
        )
        columns = _ENTRY.format(
            content="m.content" if contents else "''", vector="v.data" if vectors else "NULL"
        )
        found = self._run(
            f"SELECT {columns} FROM onebrain.memory AS m {joined}"
            f'WHERE m.tenant = %s AND m.space + 0 = {self._space.key} AND m."row" = ANY(%s)',
            [list(rows)],
            binary=True,
        )
        return sorted(map(_entry, found), key=lambda entry: entry.row)

    def sample(self, seqs: Sequence[int]) -> list[str]:
        """Return the texts of the memories whose last change was one of these."""
        found = self._run(f"SELECT m.content {self._from} AND m.seq = ANY(%s)", [list(seqs)], binary=True)
        return [content for (content,) in found]

    def around(self, rows: Sequence[int]) -> list[tuple[int, int]]:
        """Return pairs of rows that follow each other in a session: up to two on each side of each row."""
        near = (
            f'SELECT n."row" FROM onebrain.memory AS n WHERE n.tenant = %s AND n.space = {self._space.key} '
            'AND n.session = m.session AND n.owner = m.owner AND n."row" {} m."row" ORDER BY n."row" {} LIMIT 2'
        )
        found = self._run(
            'SELECT m."row", ARRAY(' + near.format("<", "DESC") + "), ARRAY(" + near.format(">", "ASC") + ") "
            f"FROM onebrain.memory AS m WHERE m.tenant = %s AND m.space + 0 = {self._space.key} "
            'AND m."row" = ANY(%s) AND m.session IS NOT NULL',
            [self._tenant, self._tenant, list(rows)],
        )
        pairs: set[tuple[int, int]] = set()
        for row, before, after in found:
            line = [*reversed(before), row, *after]
            pairs.update(pairwise(line))
        return list(pairs)

    def nearest(self, vector: bytes, selected: Selected | None, limit: int) -> list[int]:
        """Return rows near a vector, the nearest first, by the space's HNSW index; the unlike and a few others lack."""
        dimension = self._space.dimension
        assert dimension is not None
        where, values = ("", list[Any]()) if selected is None else selected.where()
        joined = (
            f'JOIN onebrain.memory AS m ON m.tenant = v.tenant AND m."row" = v."row" AND m.space = {self._space.key} '
            if where
            else ""
        )
        if dimension > _DIMENSIONS:
            return self.nearest_exactly(vector, selected, None, limit)
        self._settings(
            {
                "hnsw.ef_search": str(min(max(limit, 40), _EF)),
                "hnsw.iterative_scan": "strict_order",
                "hnsw.max_scan_tuples": str(max(_SCANNED, limit)),
                **_BY_INDEX,
            }
        )
        halved = f"{self._session.vectors}.halfvec({dimension})"
        rows = self._rows(
            f'SELECT v."row" FROM onebrain.vector AS v {joined}WHERE v.tenant = %s AND v.space = {self._space.key}{where} '
            f"ORDER BY {self._session.vectors}.l2_normalize(v.data)::{halved} "
            f"OPERATOR({self._session.vectors}.<=>) %s::{self._session.vectors}.vector::{halved} LIMIT %s",
            [*values, Vector(vector), limit],
        )
        self._settings({"enable_seqscan": "on"})
        return rows

    def nearest_exactly(
        self, vector: bytes, selected: Selected | None, rows: Sequence[int] | None, limit: int
    ) -> list[int]:
        """Return rows by their distance to a vector, or some of them, looking at each; one without a vector is unlike."""
        where, values = ("", list[Any]()) if selected is None else selected.where()
        if rows is not None:
            where += ' AND m."row" = ANY(%s)'
            values.append(list(rows))
        distance = f"coalesce(nullif(v.data OPERATOR({self._session.vectors}.<=>) %s, 'NaN'), 1)"
        return self._rows(
            'SELECT m."row" FROM onebrain.memory AS m LEFT JOIN onebrain.vector AS v '
            'ON v.tenant = m.tenant AND v."row" = m."row" '
            f'WHERE m.tenant = %s AND m.space = {self._space.key}{where} ORDER BY {distance}, m."row" DESC LIMIT %s',
            [*values, Vector(vector), limit],
        )

    def frequencies(self, terms: Sequence[str], cap: int) -> list[int]:
        """Return the number of memories with each word, up to `cap`."""
        return self._each(
            [lexeme(term) for term in terms],
            f"SELECT count(*) FROM (SELECT 1 FROM onebrain.word AS w WHERE w.tenant = %s AND w.space = {self._space.key}{_SOUGHT} "
            "LIMIT %s) AS found",
            cap,
        )

    def holding(
        self,
        terms: Sequence[str],
        *,
        all: bool = False,
        weights: Mapping[str, float],
        length: float,
        selected: Selected | None,
        rows: Sequence[int] | None = None,
        limit: int,
        cap: int | None = None,
    ) -> list[int]:
        """Return rows with any or all of some words, by the weights of the words that they hold.

        Args:
            terms: The words.
            all: Whether a row must hold all of them.
            weights: The weight of each word, these and others.
            length: The mean length of a memory; the same words count more in a shorter one.
            selected: Which memories count; None for all.
            rows: Which rows count; None for all.
            limit: The most rows to return.
            cap: The number of rows that are looked at, whichever; None for all.
        """
        where, values = ("", list[Any]()) if selected is None else selected.where()
        joined = (
            f'JOIN onebrain.memory AS m ON m.tenant = w.tenant AND m."row" = w."row" AND m.space + 0 = {self._space.key} '
            if where
            else ""
        )
        if rows is not None:
            where += ' AND w."row" = ANY(%s)'
            values.append(list(rows))
        if cap is not None:
            where += " LIMIT %s"
            values.append(cap)
        score = " + ".join(["CASE WHEN w.words @@ %s::tsquery THEN %s::float8 ELSE 0 END"] * len(weights))
        found = self._looking(
            (" & " if all else " | ").join(_quoted(lexeme(term)) for term in terms),
            f'SELECT w."row" FROM (SELECT w."row", w.length, w.words FROM onebrain.word AS w {joined}'
            f"WHERE w.tenant = %s AND w.space = {self._space.key}{_SOUGHT}{where}) AS w "
            f'ORDER BY ({score}) / (0.6 + 0.4 * w.length / %s) DESC, w."row" DESC LIMIT %s',
            [
                self._tenant,
                *values,
                *(value for term, weight in weights.items() for value in (_quoted(lexeme(term)), weight)),
                max(length, 1.0),
                limit,
            ],
        )
        return list(dict.fromkeys(row for (row,) in found))  # one in several parts once

    def changes(self, user: str, after: int) -> Changes:
        """Return the changes of a user's memories after one, and which rows of any user are gone."""
        columns = _ENTRY.format(content="m.content", vector="v.data")
        entries = self._run(
            f"SELECT {columns} FROM onebrain.memory AS m "
            'LEFT JOIN onebrain.vector AS v ON v.tenant = m.tenant AND v."row" = m."row" '
            f'WHERE m.tenant = %s AND m.space = {self._space.key} AND m.owner = %s AND m."user" = %s AND m.seq > %s',
            [digest(user), user, after],
            binary=True,
        )
        gone = (
            self._rows(
                f'SELECT "row" FROM onebrain.gone WHERE tenant = %s AND space = {self._space.key} AND seq > %s',
                [after],
            )
            if after
            else []
        )
        return Changes(sorted(map(_entry, entries), key=lambda entry: entry.row), gone, self._space.seq)

    # ---- writing ----------------------------------------------------------------------------------------------------

    def keep(self, entries: Sequence[Entry], replaced: Sequence[int]) -> None:
        """Keep the words of memories that this transaction has stored, some of them instead of those before."""
        if replaced:
            self.take_out(replaced)
        latest = {entry.row: entry.content for entry in entries}
        self._insert([MemoryWords(row, None, parts(content)) for row, content in latest.items()])

    def take_out(self, rows: Sequence[int]) -> None:
        """Remove the words of rows."""
        self._see(_EVERYTHING)
        self._run('DELETE FROM onebrain.word WHERE tenant = %s AND "row" = ANY(%s)', [list(rows)])

    def reset(self) -> None:
        """Remove all words of the space, and serve it from memory again."""
        self._see(_EVERYTHING)
        self._run("DELETE FROM onebrain.word WHERE tenant = %s AND space = %s", [self._space.key])
        self._state("filled = NULL, filling = NULL, served = false, analysis = NULL")

    def begin(self, large: int) -> bool:
        """Begin to keep the words of the space, if it is large and nothing in it is sealed; it must be locked."""
        sealed = self._run(f"SELECT 1 {self._from} AND m.sealed IS NOT NULL LIMIT 1", []).fetchone()
        if sealed is not None or not self.at_least(large):
            return False
        self._state("filled = 0, filling = seq, served = false, analysis = %s", VERSION)
        return True

    def refill(self) -> None:
        """Begin to replace the words of an earlier analysis; these serve until then. The space must be locked."""
        self._state("filled = 0, filling = seq, analysis = %s", VERSION)

    def unfilled(self, limit: int) -> tuple[list[MemoryWords], int]:
        """Return the words of the next memories to fill in, and the change up to which that is all."""
        assert self._space.filled is not None
        assert self._space.filling is not None
        found = self._run(
            f'SELECT m."row", m.seq, octet_length(m.content) {self._from} AND m.seq > %s AND m.seq <= %s '
            "ORDER BY m.seq LIMIT %s",
            [self._space.filled, self._space.filling, limit],
        ).fetchall()
        through = self._space.filling if len(found) < limit else found[-1][1]
        size, rows = 0, list[int]()
        for row, seq, length in found:
            size += length
            if rows and size > _BATCH_BYTES:
                through = seq - 1
                break
            rows.append(row)
        texts = self._run(
            'SELECT m."row", m.seq, m.content FROM onebrain.memory AS m '
            f'WHERE m.tenant = %s AND m.space + 0 = {self._space.key} AND m."row" = ANY(%s)',
            [rows],
            binary=True,
        )
        return [MemoryWords(row, seq, parts(content)) for row, seq, content in texts], through

    def fill(self, batch: Sequence[MemoryWords], through: int) -> None:
        """Keep the words of older memories; those that have changed since they were read have been kept by then."""
        self._take_out_unchanged(batch)
        self._insert(batch)
        self._state("filled = %s", through)

    def _take_out_unchanged(self, batch: Sequence[MemoryWords]) -> None:
        """Remove the words that an earlier analysis made of memories, unless they have changed since they were read."""
        self._see(_EVERYTHING)
        self._run(
            'DELETE FROM onebrain.word AS w USING unnest(%s::int8[], %s::int8[]) AS n ("row", seq) '
            f'JOIN onebrain.memory AS m ON m.tenant = %s AND m.space + 0 = {self._space.key} AND m."row" = n."row" '
            'AND m.seq = n.seq WHERE w.tenant = %s AND w."row" = m."row"',
            [[memory.row for memory in batch], [memory.seq for memory in batch], self._tenant, self._tenant],
            leading=False,
        )

    def serve(self) -> None:
        """Note that everything is there: from now on the database serves the space."""
        self._state("served = true")

    def _insert(self, batch: Iterable[MemoryWords]) -> None:
        records = [
            (memory.row, memory.seq, part, length, words)
            for memory in batch
            for part, (length, words) in enumerate(memory.parts)
        ]
        if not records:
            return
        rows, seqs, numbers, lengths, words = (list(column) for column in zip(*records, strict=True))
        unchanged = (
            f'JOIN onebrain.memory AS m ON m.tenant = %s AND m.space + 0 = {self._space.key} AND m."row" = n."row" '
            "AND m.seq = n.seq"
        )
        self._run(
            'INSERT INTO onebrain.word (tenant, space, "row", part, length, words) '
            f"SELECT %s, {self._space.key}, n.\"row\", n.part, n.length, array_to_tsvector(string_to_array(n.words, ' ')) "
            "FROM unnest(%s::int8[], %s::int8[], %s::int2[], %s::int4[], %s::text[]) "
            f'AS n ("row", seq, part, length, words) {"" if seqs[0] is None else unchanged}',
            [rows, seqs, numbers, lengths, words, *([] if seqs[0] is None else [self._tenant])],
        )

    def _state(self, changes: str, *values: Any) -> None:
        self._run(
            f"UPDATE onebrain.space SET {changes} WHERE tenant = %s AND key = {self._space.key}",
            [*values, self._tenant],
            leading=False,
        )

    # ---- statements -------------------------------------------------------------------------------------------------

    def _run(
        self, statement: str, values: Sequence[Any], *, leading: bool = True, binary: bool = False
    ) -> psycopg.Cursor[tuple[Any, ...]]:
        """Run a statement; the tenant is its first value unless `leading` is False."""
        given = [self._tenant, *values] if leading else values
        return self._session.run(self._tenant, statement, given, binary=binary)

    def _rows(self, statement: str, values: Sequence[Any]) -> list[int]:
        return [row for (row,) in self._run(statement, values)]

    def _see(self, words: str) -> None:
        """Let this transaction see rows of `onebrain.word` that match a query, and no others."""
        self._run("SELECT set_config('onebrain.words', %s, true)", [words], leading=False)

    def _settings(self, settings: Mapping[str, str]) -> None:
        """Change settings of the server for this transaction."""
        self._run(
            "SELECT " + ", ".join(["set_config(%s, %s, true)"] * len(settings)),
            [text for pair in settings.items() for text in pair],
            leading=False,
        )

    def _looking(self, words: str, statement: str, values: Sequence[Any]) -> list[tuple[Any, ...]]:
        """Run a query on the words that match."""
        connection = self._session.of(self._tenant)
        with connection.pipeline():
            self._see(words)
            self._settings(_BY_INDEX)
            # Not prepared: a plan that was made for a rare word would be kept for a common one.
            cursor = connection.execute(statement.encode(), values, prepare=False)
            self._settings({"enable_seqscan": "on"})
        return cursor.fetchall()

    def _each(self, lexemes: Sequence[str], statement: str, cap: int) -> list[int]:
        """Run a query that counts for each of some lexemes, all in one go."""
        connection = self._session.of(self._tenant)
        cursors: list[psycopg.Cursor[tuple[Any, ...]]] = []
        with connection.pipeline():
            self._settings(_BY_INDEX)
            for word in lexemes:
                self._see(_quoted(word))
                cursors.append(connection.execute(statement.encode(), (self._tenant, cap), prepare=False))
            self._settings({"enable_seqscan": "on"})
        return [found[0] for cursor in cursors if (found := cursor.fetchone()) is not None]


def _entry(record: Sequence[Any]) -> Entry:
    row, user, agent, session, content, created, updated, expires, importance, archived, vector = record
    return Entry(
        row, user or None, agent, session, content, created, updated, expires, importance, archived, vector
    )


def lexeme(term: str) -> str:
    """Return the lexeme of a stem in a tsvector: the stem, or its digest if it is very long."""
    data = term.encode()
    return term if len(data) <= _LONGEST else blake2b(data, digest_size=16).hexdigest()


def parts(content: str) -> list[tuple[int, str]]:
    """Return the length of a text in words, and its lexemes with spaces between them; in several parts for very many.

    Example:
        >>> parts("Maria: I moved to Porto")
        [(3, 'maria move porto')]
        >>> parts("to be or not to be")
        []
    """
    analysis = analyse(content)
    lexemes = [lexeme(term) for term in analysis.terms]
    found: list[tuple[int, str]] = []
    size, part = 0, list[str]()
    for word in lexemes:
        size += len(word.encode())
        if size > _PART:
            found.append((analysis.length, " ".join(part)))
            size, part = len(word.encode()), []
        part.append(word)
    if part:
        found.append((analysis.length, " ".join(part)))
    return found


def _quoted(word: str) -> str:
    """Return a lexeme as a query writes it."""
    return "'" + word.replace("\\", "\\\\").replace("'", "''") + "'"


def forget_words(connection: Connection, tenant: str) -> None:
    """Remove the words of all large spaces of a tenant, within a transaction for it; memory serves them again."""
    connection.execute("SELECT set_config('onebrain.words', %s, true)", (_EVERYTHING,))
    connection.execute("DELETE FROM onebrain.word WHERE tenant = %s", (tenant,))
    connection.execute(
        "UPDATE onebrain.space SET filled = NULL, filling = NULL, served = false, analysis = NULL "
        "WHERE tenant = %s AND filled IS NOT NULL",
        (tenant,),
    )


class Upkeep:
    """Makes and drops the indexes of large spaces, on connections of its own, for neither can stand in a transaction.

    Args:
        connect: Opens a connection.
        where: The database, for errors.
    """

    def __init__(self, connect: Callable[[], Connection], where: str) -> None:
        self._connect = connect
        self._where = where

    def obstacle(self) -> str | None:
        """Return why this database cannot serve large spaces, None where it can."""
        with self._connection() as connection:
            version = connection.execute(
                "SELECT extversion FROM pg_extension WHERE extname = 'vector'"
            ).fetchone()
            numbers = tuple(int(part) for part in (version[0] if version else "0").split(".")[:2])
            if numbers < OLDEST:
                return f"its pgvector is {version[0] if version else 'missing'}, which is older than 0.8"
            owned = connection.execute(
                "SELECT bool_and(pg_has_role(c.relowner, 'USAGE')) FROM pg_class AS c "
                "JOIN pg_namespace AS n ON n.oid = c.relnamespace WHERE n.nspname = 'onebrain' AND c.relname IN ('memory', 'vector', 'word')"
            ).fetchone()
            return None if owned is not None and owned[0] else "the role does not own the tables of onebrain"

    @contextmanager
    def alone(self, key: int) -> Generator[bool, None, None]:
        """Tell whether nobody else fills this space or makes its indexes, and keep others from it for the block."""
        with self._connection() as connection:
            # A transaction, because a pooler in between may give a session to others. The indexes that are made
            # meanwhile would wait for one that holds a snapshot: hence read committed, and the number in the text,
            # since a statement with values stays open behind its end.
            connection.execute("BEGIN ISOLATION LEVEL READ COMMITTED")
            connection.execute("SET LOCAL idle_in_transaction_session_timeout = 0")
            lock = _LOCK | (key & 0xFFFFFFFF)
            taken = connection.execute(f"SELECT pg_try_advisory_xact_lock({lock})".encode()).fetchone()
            yield taken is not None and bool(taken[0])

    def missing(self, space: Space) -> list[str]:
        """Return the names of the space's indexes that are not there, or were not finished."""
        with self._connection() as connection:
            wanted = indexes(space)
            return [name for name in wanted if name not in _valid(connection, list(wanted))]

    def build(self, space: Space, name: str, stop: threading.Event) -> None:
        """Make one index of a space, beside whatever goes on; one that was not finished is made anew."""
        with self._connection() as connection, _cancelled(connection, stop):
            self._drop(connection, name)
            count = connection.execute(
                "SELECT greatest(reltuples, 0) FROM pg_class WHERE oid = 'onebrain.memory'::regclass"
            ).fetchone()
            wanted = int((count[0] if count else 0) * 1.3 * (1_000 + 2 * (space.dimension or 0)))
            vectors = find_vectors(connection, self._where).schema
            statement = indexes(space)[name].replace("{vectors}", vectors).encode()
            if behind_pooler(connection):
                # No setting may stay behind in a session that is others' a moment later, and an index that is made
                # beside whatever goes on cannot stand in a transaction with its settings.
                connection.execute(statement)
                return
            connection.execute(
                "SELECT set_config('lock_timeout', '0', false), set_config('statement_timeout', '0', false), "
                "set_config('maintenance_work_mem', "
                "greatest(pg_size_bytes(current_setting('maintenance_work_mem')), %s) / 1024 || 'kB', false)",
                (min(wanted, _BUILD_MEMORY),),
            )
            try:
                connection.execute(statement)
            except (psycopg.errors.DiskFull, psycopg.errors.OutOfMemory):
                # Helpers share memory in /dev/shm, of which a container may have very little.
                self._drop(connection, name)
                connection.execute(
                    "SELECT set_config('max_parallel_maintenance_workers', '0', false), "
                    "set_config('maintenance_work_mem', '64MB', false)"
                )
                connection.execute(statement)

    def tidy(self) -> None:
        """Bring the planner's statistics up to date after a filling."""
        with self._connection() as connection:
            for table in ("word", "memory", "vector"):
                connection.execute(sql.SQL("ANALYZE onebrain.{}").format(sql.Identifier(table)))

    def drop(self, keys: Iterable[int]) -> None:
        """Remove all indexes of spaces, beside whatever goes on."""
        with self._connection() as connection:
            for key in keys:
                self._drop_all(connection, f"large_{key}_")

    def drop_vectors(self, key: int) -> None:
        """Remove the indexes of a space's vectors, beside whatever goes on."""
        with self._connection() as connection:
            self._drop_all(connection, f"large_{key}_near_")

    def _drop_all(self, connection: Connection, prefix: str) -> None:
        names = connection.execute(
            "SELECT indexname FROM pg_indexes WHERE schemaname = 'onebrain' AND starts_with(indexname, %s)",
            (prefix,),
        ).fetchall()
        for (name,) in names:
            self._drop(connection, name)

    def _drop(self, connection: Connection, name: str) -> None:
        connection.execute(
            sql.SQL("DROP INDEX CONCURRENTLY IF EXISTS onebrain.{}").format(sql.Identifier(name))
        )

    @contextmanager
    def _connection(self) -> Generator[Connection, None, None]:
        connection = self._connect()
        try:
            with translated(self._where):
                yield connection
        finally:
            connection.close()


@contextmanager
def _cancelled(connection: Connection, stop: threading.Event) -> Generator[None, None, None]:
    """Cancel a connection's statement when told to stop: an index may take many minutes."""
    done = threading.Event()

    def watch() -> None:
        while not done.wait(0.1):
            if stop.is_set():
                connection.cancel()
                return

    watcher = threading.Thread(target=watch, name="onebrain-upkeep-stop", daemon=True)
    watcher.start()
    try:
        yield
    finally:
        done.set()
        watcher.join()


def _valid(connection: Connection, names: Sequence[str]) -> set[str]:
    found = connection.execute(
        "SELECT c.relname FROM pg_index AS i JOIN pg_class AS c ON c.oid = i.indexrelid "
        "JOIN pg_namespace AS n ON n.oid = c.relnamespace "
        "WHERE n.nspname = 'onebrain' AND c.relname = ANY(%s::name[]) AND i.indisvalid",
        (list(names),),
    )
    return {name for (name,) in found}


def indexes(space: Space) -> dict[str, str]:
    """Return the indexes that serve a space, each by its name with the statement that makes it.

    ``{vectors}`` in a statement is replaced by the schema of pgvector.

    `row` is for lists in the order of storing, `time` for the newest and for counts, `user` for what a user's own index
    catches up with, `talk` for sessions and neighbours in them, `agent` for scopes.
    """
    key, dimension = space.key, space.dimension
    on = {
        "word": "onebrain.word USING gin (words) WITH (gin_pending_list_limit = 256) WHERE space = {key}",
        "row": 'onebrain.memory ("row") WHERE space = {key}',
        "time": 'onebrain.memory (created_at, "row") INCLUDE (tenant, archived, expires_at) WHERE space = {key}',
        "user": "onebrain.memory (owner, seq) WHERE space = {key}",
        "talk": 'onebrain.memory (session, owner, "row") WHERE space = {key} AND session IS NOT NULL',
        "agent": 'onebrain.memory (agent, "row") WHERE space = {key} AND agent IS NOT NULL',
    }
    if dimension is not None and dimension <= _DIMENSIONS:
        on[f"near_{dimension}"] = (
            f"onebrain.vector USING hnsw (({{vectors}}.l2_normalize(data)::{{vectors}}.halfvec({dimension})) "
            "{vectors}.halfvec_cosine_ops) "
            "WHERE space = {key}"
        )
    return {
        f"large_{key}_{name}": f"CREATE INDEX CONCURRENTLY large_{key}_{name} ON {target.replace('{key}', str(key))}"
        for name, target in on.items()
    }
