"""Which memories hold at a moment, decided here for services that know no validity."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from onebrain.memory.linking.fields import Linked, Mark
from onebrain.memory.models import Memory


@dataclass(frozen=True, slots=True)
class Moment:
    """The moment that an answer is about.

    Attributes:
        now: The present.
        at: The moment, if it is another one.
        superseded: Whether memories that others supersede count as well.
    """

    now: datetime
    at: datetime | None = None
    superseded: bool = False

    @property
    def everything(self) -> bool:
        """Whether each memory counts."""
        return self.at is None and self.superseded

    def holds(self, memory: Memory) -> bool:
        """Return whether a memory holds.

        A memory holds from `valid_from` to `valid_until`, and until one that supersedes it begins. Of another time than the
        present, `created_at` says when it began if it says nothing else.
        """
        if self.everything:
            return True
        moment = self.at or self.now
        begins = memory.valid_from or (memory.created_at if self.at else None)
        if begins is not None and begins > moment:
            return False
        if not isinstance(memory, Linked):
            return True
        if memory.valid_until is not None and memory.valid_until <= moment:
            return False
        return self.superseded or not any(
            self._has_begun(mark, moment) for mark in self.standing(memory.marks)
        )

    def standing(self, marks: tuple[Mark, ...]) -> tuple[Mark, ...]:
        """Return the marks whose memories have not expired."""
        return tuple(mark for mark in marks if mark.ends is None or mark.ends > self.now)

    def _has_begun(self, mark: Mark, moment: datetime) -> bool:
        begins = mark.begins or (mark.made if self.at else None)
        return begins is None or begins <= moment

    def shown(self, memory: Memory) -> Memory:
        """Return a memory as a caller sees it."""
        if not isinstance(memory, Linked):
            return memory
        marks = self.standing(memory.marks)
        fields = {name: memory.__dict__[name] for name in Memory.model_fields}
        if marks:
            fields |= {"superseded_by": marks[-1].by, "superseded_at": marks[-1].at}
        return Memory.trusted(fields)
