"""Time that only moves when somebody sleeps."""


class ManualTime:
    """A clock and the sleeper that moves it; `slept` lists the naps."""

    def __init__(self, now: float = 100.0) -> None:
        self.now = now
        self.slept: list[float] = []

    def clock(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        assert seconds > 0
        self.slept.append(seconds)
        self.now += seconds
