"""What came of asking a service broker for its catalog. Plain data."""

from dataclasses import dataclass

from chandlery.model.faults import FieldProblem
from chandlery.reconcile.answers import Answer, Verdict
from chandlery_syncer.catalog.catalog_objects import Offerings


@dataclass(frozen=True)
class FetchedCatalog:
    """The answer, and what it brought."""

    answer: Answer
    desired: Offerings | None = None
    """None if the answer brought no catalog, or one that cannot be used."""
    problem: str | None = None
    """What is wrong with the catalog."""
    remarks: tuple[str, ...] = ()
    """What is odd about it and was accepted all the same."""
    left_out: tuple[FieldProblem, ...] = ()
    """Why some of it was not."""

    @property
    def verdict(self) -> Verdict:
        """How the answer is to be read, by all that is known of it."""
        return Verdict.MALFORMED if self.problem is not None else self.answer.verdict
