"""What `make test` leaves to `make test-all`, so that every change can have an answer within minutes."""

import os
from typing import Final

IS_BRIEF: Final = os.environ.get("CHANDLERY_TEST_BRIEFLY") == "1"
"""Of tests that go through the same on several forms of the whole, and of random ones, only some."""
