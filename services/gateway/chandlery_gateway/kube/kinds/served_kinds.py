"""Everything that discovery and the OpenAPI documents tell of, core kinds first: what is stored, seen or answered."""

from typing import Final

from chandlery.model.objects.kinds import CATALOG_KINDS, CORE_KINDS
from chandlery_gateway.kube.kinds.regarding_events import REGARDING_EVENT
from chandlery_gateway.kube.kinds.review_kinds import REVIEW_KINDS

GROUP_KINDS: Final = (*CATALOG_KINDS, REGARDING_EVENT, *REVIEW_KINDS)
"""Those of named groups; the members of a group, and of its versions, stand together, the preferred version first."""
SERVED_KINDS: Final = (*CORE_KINDS, *GROUP_KINDS)
