"""The pose of a head that follows its drivers: damped where it turns far, as neck and hair cannot be joined there."""

from collections.abc import Sequence
from typing import Final

import numpy as np

from ..tracking.head_pose import HeadPose
from .motions import Followed

YAW: Final = (12.0, 15.0)
"""Degrees to which a head turns freely, and at most: beyond, neck and hair cannot be joined."""
PITCH: Final = (10.0, 14.0)
ROLL_SHARE: Final = 1.0


def soft_limit(value: float, free: float, most: float) -> float:
    """A value that goes on freely to `free`, and never beyond `most`."""
    size = abs(value)
    if size <= free:
        return value
    return float(np.sign(value) * (free + (most - free) * np.tanh((size - free) / (most - free))))


def wanted_pose(own: HeadPose, followed: Sequence[Followed], strength: float, absolute: bool) -> HeadPose:
    """The pose of a head that follows its drivers, damped where it turns far."""
    yaw, pitch, roll = own.yaw, own.pitch, own.roll
    for one in followed:
        assert one.frame.face is not None
        assert one.reference.face is not None
        now, before = one.frame.face.pose, own if absolute else one.reference.face.pose
        share = strength * one.part.head
        yaw += share * (now.yaw - before.yaw)
        pitch += share * (now.pitch - before.pitch)
        roll += ROLL_SHARE * share * (now.roll - before.roll)
    # A head that was photographed further turned may stay so.
    return HeadPose(
        soft_limit(yaw, max(YAW[0], abs(own.yaw)), max(YAW[1], abs(own.yaw) + 1)),
        soft_limit(pitch, max(PITCH[0], abs(own.pitch)), max(PITCH[1], abs(own.pitch) + 1)),
        roll,
    )
