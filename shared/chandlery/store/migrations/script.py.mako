"""${message}

Rules: expand first (new tables, nullable columns, indexes built concurrently), contract a release later; the previous
release has to run on this schema. No data is rewritten in one statement on a table that can be large.
"""

import sqlalchemy as sa
from alembic import op

revision = ${repr(up_revision)}
down_revision = ${repr(down_revision)}
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply."""
    ${upgrades if upgrades else "pass"}


def downgrade() -> None:
    """Take back."""
    ${downgrades if downgrades else "pass"}
