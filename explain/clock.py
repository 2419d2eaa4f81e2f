"""The server's clock and the client's: the same where both run on one machine."""

from typing import NamedTuple

CENTRED = "The server's clock is not the client's: its spans are centred between request and answer."


class Sent(NamedTuple):
    """When a request was sent and answered, in nanoseconds of the client's CLOCK_MONOTONIC."""

    sent_ns: int
    answered_ns: int

    @property
    def total_ms(self) -> float:
        """From one to the other."""
        return (self.answered_ns - self.sent_ns) / 1e6

    def on_clock_of(self, start_ns: int, end_ns: int) -> tuple[int, tuple[str, ...]]:
        """When the request was sent, by the clock of a server that had it from `start_ns` to `end_ns`; and notes.

        A server that had it between sending and answer has the same clock. Where it is another, both ways through the
        network are taken to be equally long.
        """
        if self.sent_ns <= start_ns and end_ns <= self.answered_ns:
            return self.sent_ns, ()
        around = (self.answered_ns - self.sent_ns) - (end_ns - start_ns)
        return start_ns - max(around, 0) // 2, (CENTRED,)
