"""A queue between two threads: order, room, and both ends."""

import threading

import pytest

from dynstream.stream.channel import Channel, Closed


def test_all_items_in_order_and_never_more_than_fit() -> None:
    channel: Channel[int] = Channel(2)
    ahead, most = 0, 0

    def put() -> None:
        nonlocal ahead, most
        for number in range(200):
            channel.put(number)
            ahead += 1
            most = max(most, ahead - len(taken))
        channel.finish()

    taken: list[int] = []
    thread = threading.Thread(target=put)
    thread.start()
    for item in channel:
        taken.append(item)
    thread.join()
    assert taken == list(range(200))
    assert most <= 2 + 1  # one is on its way out


def test_what_is_queued_comes_before_the_error() -> None:
    channel: Channel[int] = Channel(3)
    channel.put(1)
    channel.put(2)
    channel.finish(ValueError("damaged"))
    assert (channel.take(), channel.take()) == (1, 2)
    with pytest.raises(ValueError, match="damaged"):
        channel.take()
    with pytest.raises(ValueError, match="expected no item after the end"):
        channel.put(3)


def test_cancel_wakes_the_putting_side() -> None:
    channel: Channel[int] = Channel(1)
    channel.put(1)
    ended: list[type] = []

    def put() -> None:
        try:
            channel.put(2)
        except Closed:
            ended.append(Closed)

    thread = threading.Thread(target=put)
    thread.start()
    channel.cancel()
    thread.join()
    assert ended == [Closed]
    assert list(channel) == []
    assert repr(channel) == "Channel(0 of 1, cancelled)"


def test_taking_from_an_empty_one_gives_up_in_time() -> None:
    with pytest.raises(TimeoutError):
        Channel[int](1).take(timeout=0.001)


def test_room_for_nothing() -> None:
    with pytest.raises(ValueError, match="at least one"):
        Channel[int](0)
