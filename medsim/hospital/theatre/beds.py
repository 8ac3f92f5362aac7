"""Beds of a unit and the queue for them."""

from collections import deque

import simpy

__all__ = ["Beds"]


class Beds:
    """Beds that are given out in the order in which they are asked for; there may be none at all."""

    def __init__(self, env: simpy.Environment, count: int) -> None:
        self.env, self.free = env, count
        self.queue: deque[simpy.Event] = deque()

    def ask(self) -> simpy.Event:
        """Return the event that happens with a bed: at once, or when it is one's turn."""
        turn = self.env.event()
        if self.free > 0:
            self.free -= 1
            turn.succeed()
        else:
            self.queue.append(turn)
        return turn

    def give_back(self) -> None:
        """A bed is free: the next who waits gets it."""
        if self.queue:
            self.queue.popleft().succeed()
        else:
            self.free += 1

    def withdraw(self, turn: simpy.Event) -> None:
        """Somebody who asked needs no bed any more."""
        if turn.triggered:
            self.give_back()
        else:
            self.queue.remove(turn)
