"""What somebody may do with one table, in words of what they are there for. Pure; `grants.py` puts the words together.

Rule: PostgreSQL, "Privileges". A right to some columns names them; one to all of them is a right to the table.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, Literal

Right = Literal["SELECT", "INSERT", "UPDATE", "DELETE"]

STATUS: Final = "status"
BODY: Final = frozenset({"spec", "generation", "labels", "annotations", "owner_references", "managed_fields"})
"""What users say of an object, and what goes with it."""
MARKS: Final = frozenset({"resource_version", "finalizers", "deleted_at"})
"""What is written when an object is written at all, and when it goes."""
BORN_WITH: Final = frozenset({"uid", "namespace", "name", "generate_name", "created_at"})
"""What nobody ever changes."""


@dataclass(frozen=True, kw_only=True)
class Duty:
    """What a role may do. Names of columns; None is all of them, an empty set none."""

    reads: bool = True
    inserts: frozenset[str] | None = frozenset()
    updates: frozenset[str] | None = frozenset()
    deletes: bool = False
    refers: frozenset[str] = field(default=frozenset())
    """Keys of `spec` that the role may change, and nothing else in it; `guard.py` has the trigger that sees to it."""

    def rights(self, columns: frozenset[str]) -> Mapping[Right, frozenset[str] | None]:
        """Each right to a table of these columns, with those that it is for; None for all of them."""
        found: dict[Right, frozenset[str] | None] = {}
        if self.reads:
            found["SELECT"] = None
        if self.deletes:
            found["DELETE"] = None
        changes = None if self.updates is None else self.updates | ({"spec"} if self.refers else set())
        some: tuple[tuple[Right, frozenset[str] | None], ...] = (("INSERT", self.inserts), ("UPDATE", changes))
        for right, names in some:
            if names is None or names & columns:
                found[right] = None if names is None else names & columns
        return found


NOTHING: Final = Duty(reads=False)
READS: Final = Duty()
APPENDS: Final = Duty(inserts=None)
"""Reads and adds; what is there stays as it is."""
PRUNES: Final = Duty(inserts=None, deletes=True)
"""Adds, and takes away what is old; nothing is rewritten."""
QUEUES: Final = Duty(inserts=None, updates=frozenset({"id"}), deletes=True)
"""The same; and PostgreSQL lets nobody lock a row who may not change some column of it."""
OWNS: Final = Duty(inserts=None, updates=None, deletes=True)
