"""Sentences in a status, as a type of their fields: whoever makes one, and however, it is fit to be shown.

Beside `clean_text.py`, because the command line cleans texts too, and must not take the time to import pydantic for it.
"""

from typing import Annotated

from pydantic import AfterValidator

from chandlery.model.text.clean_text import clean_message

Said = Annotated[str, AfterValidator(clean_message)]
"""A sentence in a status."""
