"""Which frames are drawn together, and when: at most one of each stream, the oldest deadline first."""

from collections.abc import Collection, Sequence

from .scheduled_frame import Stream, Ticket


def choose(ready: Sequence[Ticket], max_batch: int) -> list[Ticket]:
    """The next batch out of the frames that wait for the device; empty where none does.

    At most one frame of each stream, its first, and at most `max_batch` faces, but for a single frame with more. Live
    frames go before those without a deadline, and not together with them, which would hold them up.
    """
    first: dict[int, Ticket] = {}
    for ticket in ready:
        known = first.get(id(ticket.stream))
        if known is None or ticket.number < known.number:
            first[id(ticket.stream)] = ticket
    order = sorted(first.values(), key=lambda ticket: (ticket.deadline, ticket.queued, ticket.number))
    batch: list[Ticket] = []
    faces = 0
    for ticket in order:
        if batch and (faces + ticket.faces > max_batch or ticket.stream.live != batch[0].stream.live):
            break
        batch.append(ticket)
        faces += ticket.faces
    return batch


def due(batch: Sequence[Ticket], streams: Collection[Stream], max_batch: int, window: float) -> float:
    """When this batch is to be pushed, in seconds: at once where it is full, else when its window is over.

    It is full with `max_batch` faces, or with a frame of every stream that could still bring one.
    """
    opened = min(ticket.queued for ticket in batch)
    there = {id(ticket.stream) for ticket in batch}
    awaited = any(id(stream) not in there and not stream.bypass for stream in streams)
    if sum(ticket.faces for ticket in batch) >= max_batch or not awaited:
        return opened
    return opened + window
