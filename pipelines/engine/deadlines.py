"""The latency contract: a live frame is shown before it is `max_latency` old, edited if that can be, else not."""

from typing import Final

from .costs import Costs
from .scheduled_frame import ScheduledFrame

LATE_ANALYSIS: Final = "late before looking"
LATE_DRAW: Final = "late before drawing"
LATE_COMPOSITE: Final = "late before compositing"
LATE_SHOW: Final = "late before output"
BETWEEN: Final = "between drawings"
DEVICE_BUSY: Final = "device busy"
OVERLOADED: Final = "overloaded"
BYPASS: Final = "bypass"
NOT_YET: Final = "not drawn yet"
LOST: Final = "lost"
FILLED: Final = "its time was filled"


def too_late_to_draw(scheduled: ScheduledFrame, now: float, faces: int, costs: Costs) -> bool:
    """Before batching: whether a frame drawn in a batch of so many faces would be composited after its deadline."""
    return now + costs.guess("draw", faces) + costs.guess("composite") > scheduled.deadline


def too_late_to_composite(scheduled: ScheduledFrame, now: float, costs: Costs) -> bool:
    """Before compositing: whether it would end after the deadline, while moving what is there might not."""
    return now + costs.guess("composite") > scheduled.deadline


def conceal_at(scheduled: ScheduledFrame, costs: Costs, spare: float) -> float:
    """The last moment to begin with moving what was drawn before onto the frame, in seconds."""
    return scheduled.deadline - costs.guess("move") - spare
