"""A receiver with our jitter buffer, NACKs and decode queue in place of aiortc's."""

import time
from collections.abc import Callable

from aiortc import RTCRtpReceiver

from .decode_queue import DecodeQueue
from .jitter import SOUND_PATIENCE, VIDEO_PATIENCE, PatientJitterBuffer
from .nack import RepeatingNacks
from .private import get_private, set_private


def receive_live(
    receiver: RTCRtpReceiver,
    kind: str,
    clock: Callable[[], float] = time.monotonic,
    *,
    largest: tuple[int, int] | None = None,
) -> tuple[DecodeQueue, PatientJitterBuffer]:
    """Exchange them before the receiver starts. kind: "video" or "audio". largest: see `DecodeQueue`.

    Raises AiortcChangedError.
    """
    video = kind == "video"
    jitter = PatientJitterBuffer(video=video, patience=VIDEO_PATIENCE if video else SOUND_PATIENCE, clock=clock)
    queue = DecodeQueue(
        jitter,
        get_private(receiver, "timestamp_mapper"),
        get_private(receiver, "decoder_error"),
        bounded=video,
        largest=largest if video else None,
    )
    set_private(receiver, "jitter_buffer", jitter)
    set_private(receiver, "decoder_queue", queue)
    if video:
        set_private(receiver, "nack_generator", RepeatingNacks(VIDEO_PATIENCE, clock))
    return queue, jitter
