"""A stop that does not come to its end is cut short: a supervisor asks once, and then it kills."""

from __future__ import annotations

import threading

from streams.batches import give_up


def end_within(seconds: float, role: str) -> None:
    """End the process with status 70 if it is still there in so many ``seconds``; called at a signal.

    A client whose Kafka is away may wait for it for ever, in a stop, too. What was not committed is done
    again by whoever is next.
    """
    why = f"told to stop, and not at its end {seconds:g} s later: does Kafka answer?"
    timer = threading.Timer(seconds, give_up, (role, why))
    timer.daemon = True  # a process that ends by itself does not wait for it
    timer.start()
