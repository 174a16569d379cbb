"""The mail that tools send. Nothing leaves this machine: what was sent lies in the outbox, for all to count."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

FIELDS = ("to", "subject", "text")


@dataclass(frozen=True, slots=True)
class Mail:
    """One mail that was really sent."""

    id: str
    to: str
    subject: str
    text: str
    key: str
    """The idempotency key that it was sent with, or an empty string."""


class KeyReused(ValueError):
    """An idempotency key came back with another mail than it was first used for."""


class Outbox:
    """Sends mail, each idempotency key once."""

    def __init__(self) -> None:
        self._sent: list[Mail] = []
        self._by_key: dict[str, Mail] = {}

    def send(self, to: str, subject: str, text: str, key: str = "") -> tuple[Mail, bool]:
        """Send a mail, or find the one that was sent with this key before; return it and whether it is the old one.

        Raises:
            KeyReused: The key was used for another mail.
        """
        mail = Mail(f"mail_{len(self._sent) + 1}", to, subject, text, key)
        before = self._by_key.get(key)
        if before is not None:
            if (before.to, before.subject, before.text) != (to, subject, text):
                raise KeyReused
            return before, True
        self._sent.append(mail)
        if key:
            self._by_key[key] = mail
        return mail, False

    def empty(self) -> None:
        """Forget all mail and all keys."""
        self._sent.clear()
        self._by_key.clear()

    def record(self) -> list[dict[str, Any]]:
        """Return the sent mail in order, as JSON can hold it, with the fields of `Mail`."""
        return [asdict(mail) for mail in self._sent]
