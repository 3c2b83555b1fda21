"""How a command says no: one line and an exit status."""

from __future__ import annotations


class Failed(Exception):
    """Ends a command with one line on standard error. ``status`` 1: the answer is no; 2: wrong use."""

    def __init__(self, message: str, status: int = 2) -> None:
        super().__init__(message)
        self.status = status
