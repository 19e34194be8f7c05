"""The mailbox: newest wins, every item is accounted for, closing reaches everybody, and no clock is real."""

import asyncio
import threading

import pytest

from dynstream.stream.mailbox import Mailbox, MailboxClosed, MailboxCounts, Posted


class ManualClock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_the_newest_wins_and_the_rest_is_counted() -> None:
    box: Mailbox[int] = Mailbox()
    assert [box.put(number) for number in range(5)] == [False, True, True, True, True]
    taken = box.take()
    assert taken is not None
    assert taken.item == 4
    assert box.counts == MailboxCounts(put=5, taken=1, dropped=4)
    assert box.poll() is None


def test_items_are_stamped_by_the_given_clock_unless_they_bring_their_time() -> None:
    clock = ManualClock()
    box: Mailbox[str] = Mailbox(clock)
    clock.now = 2.5
    box.put("now")
    assert box.poll() == Posted("now", 2.5)
    box.put("captured earlier", seconds=1.0)
    clock.now = 9.0
    assert box.poll() == Posted("captured earlier", 1.0)


def test_take_gives_up_after_its_time() -> None:
    assert Mailbox[int]().take(timeout=0) is None


def test_what_is_there_can_be_taken_after_the_end_and_then_the_reason_is_told() -> None:
    box: Mailbox[int] = Mailbox()
    box.put(1)
    reason = ValueError("unplugged")
    box.close(reason)
    box.close(KeyError("too late"))
    assert box.closed
    assert box.poll() is not None
    for ask in (box.poll, box.take, lambda: box.put(2)):
        with pytest.raises(MailboxClosed) as end:
            ask()
        assert end.value.reason is reason


def test_discarding_drops_and_counts() -> None:
    box: Mailbox[int] = Mailbox()
    box.put(1)
    box.close(discard=True)
    assert box.counts == MailboxCounts(put=1, taken=0, dropped=1)
    with pytest.raises(MailboxClosed):
        box.take()


def test_closing_wakes_every_waiting_thread() -> None:
    box: Mailbox[int] = Mailbox()
    ends: list[str] = []

    def wait() -> None:
        try:
            box.take()
        except MailboxClosed:
            ends.append("closed")

    threads = [threading.Thread(target=wait) for _ in range(3)]
    for thread in threads:
        thread.start()
    box.close()
    for thread in threads:
        thread.join(10)
    assert ends == ["closed"] * 3


def test_every_item_of_many_threads_is_taken_or_dropped_and_never_twice() -> None:
    box: Mailbox[tuple[int, int]] = Mailbox()
    taken: list[tuple[int, int]] = []

    def give(who: int) -> None:
        for number in range(300):
            box.put((who, number))

    def get() -> None:
        while True:
            try:
                posted = box.take()
            except MailboxClosed:
                return
            assert posted is not None
            taken.append(posted.item)

    givers = [threading.Thread(target=give, args=(who,)) for who in range(3)]
    getters = [threading.Thread(target=get) for _ in range(2)]
    for thread in givers + getters:
        thread.start()
    for thread in givers:
        thread.join(10)
    box.close()
    for thread in getters:
        thread.join(10)
    counts = box.counts
    assert len(taken) == len(set(taken)) == counts.taken
    assert counts.put == 900 == counts.taken + counts.dropped


def test_an_event_loop_receives_what_a_thread_puts_and_is_woken_by_the_end() -> None:
    box: Mailbox[int] = Mailbox()

    async def main() -> list[int]:
        got = []
        threading.Thread(target=box.put, args=(7,)).start()
        got.append((await box.receive()).item)
        waiting = asyncio.create_task(box.receive())
        await asyncio.sleep(0)
        box.put(8)  # from within the loop: it never blocks
        got.append((await waiting).item)
        waiting = asyncio.create_task(box.receive())
        await asyncio.sleep(0)
        threading.Thread(target=box.close).start()
        with pytest.raises(MailboxClosed):
            await waiting
        return got

    assert asyncio.run(main()) == [7, 8]


def test_a_cancelled_receiver_leaves_the_item_for_the_next() -> None:
    box: Mailbox[int] = Mailbox()

    async def main() -> int:
        given_up = asyncio.create_task(box.receive())
        await asyncio.sleep(0)
        given_up.cancel()
        with pytest.raises(asyncio.CancelledError):
            await given_up
        box.put(3)
        return (await box.receive()).item

    assert asyncio.run(main()) == 3


def test_a_receiver_whose_loop_is_gone_does_no_harm() -> None:
    box: Mailbox[int] = Mailbox()
    loop = asyncio.new_event_loop()
    task = loop.create_task(box.receive())
    loop.run_until_complete(asyncio.sleep(0))
    task.cancel()
    loop.run_until_complete(asyncio.gather(task, return_exceptions=True))
    box._loops.append((loop, loop.create_future()))
    loop.close()
    assert box.put(1) is False
