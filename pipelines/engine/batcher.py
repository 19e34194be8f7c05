"""Which frames are drawn together, and when: at most one of each stream, the oldest deadline first."""

from collections.abc import Collection, Sequence

from .scheduled_frame import ScheduledFrame, Stream


def choose(ready: Sequence[ScheduledFrame], max_batch: int) -> list[ScheduledFrame]:
    """The next batch out of the frames that wait for the device; empty where none does.

    At most one frame of each stream, its first, and at most `max_batch` faces, but for a single frame with more. Live
    frames go before those without a deadline, and not together with them, which would hold them up.
    """
    first: dict[int, ScheduledFrame] = {}
    for scheduled in ready:
        known = first.get(id(scheduled.stream))
        if known is None or scheduled.number < known.number:
            first[id(scheduled.stream)] = scheduled
    order = sorted(first.values(), key=lambda scheduled: (scheduled.deadline, scheduled.queued, scheduled.number))
    batch: list[ScheduledFrame] = []
    faces = 0
    for scheduled in order:
        if batch and (faces + scheduled.faces > max_batch or scheduled.stream.live != batch[0].stream.live):
            break
        batch.append(scheduled)
        faces += scheduled.faces
    return batch


def due(batch: Sequence[ScheduledFrame], streams: Collection[Stream], max_batch: int, window: float) -> float:
    """When this batch is to be pushed, in seconds: at once where it is full, else when its window is over.

    It is full with `max_batch` faces, or with a frame of every stream that could still bring one.
    """
    opened = min(scheduled.queued for scheduled in batch)
    there = {id(scheduled.stream) for scheduled in batch}
    cadence = any(id(stream) not in there and not stream.bypass for stream in streams)
    if sum(scheduled.faces for scheduled in batch) >= max_batch or not cadence:
        return opened
    return opened + window
