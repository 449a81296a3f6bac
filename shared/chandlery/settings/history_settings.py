"""How long it is remembered what happened to an object, in events and in the operation history; part of `Settings`."""

from pydantic import BaseModel, Field, PositiveFloat, PositiveInt


class HistorySettings(BaseModel):
    """Settings about what is kept for people to read."""

    event_hours: PositiveFloat = Field(
        default=72.0, description="How long recorded events are kept after they were last counted."
    )
    events_per_object: PositiveInt = Field(
        default=100, description="How many recorded events are kept of one object; the oldest go within minutes."
    )
    operation_history_days: PositiveFloat = Field(
        default=30.0,
        description="How long the operation history tells what was done at service brokers, also of objects that are "
        "gone.",
    )
    operation_history_per_object: PositiveInt = Field(
        default=100,
        description="How many operations it keeps of one object, or of several of one name; the oldest go within "
        "minutes.",
    )
