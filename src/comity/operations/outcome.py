# SPDX-License-Identifier: Apache-2.0
"""Shell: what goes into an operation and what comes out of it."""

import binascii
from collections.abc import Mapping
from dataclasses import dataclass

from comity.agreement.people import Person
from comity.errors import MalformedRequest
from comity.ids import AgreementId, Instant, ObjectId, parse_instant
from comity.node.steps import Tell, tell_nobody
from comity.operations.reply import Exit, Json

__all__ = ["Arguments", "Outcome", "Tell"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What an operation came to.

    `stops` is the agreement whose answers under way must be waited for before the operation is answered; `sends` is the
    agreement whose other parties have a message waiting for them. `deletes` says that objects were deleted. `checks`
    are objects that came in: what of their patterns a parser has to read is read before the operation is answered.
    `tells` says that a message waits for the partners whom the result calls told.
    """

    result: dict[str, Json]
    code: Exit = Exit.DONE
    stops: AgreementId | None = None
    sends: AgreementId | None = None
    deletes: bool = False
    checks: frozenset[ObjectId] | None = None
    tells: bool = False


class Arguments:
    """The arguments of one operation, each taken out as what it must be; `by` is the person who asks, if identified.

    `tell` is called by long work with how much of how much is done. `shut_out` is how often what is asked in the
    person's name had been ended as this was asked (`Node.shut_out`).

    Every method raises MalformedRequest for a value of another kind: what comes over the socket is not trusted to come
    from this version's own commands.
    """

    def __init__(
        self, values: Mapping[str, Json], *, by: Person | None = None, tell: Tell | None = None, shut_out: int = 0
    ) -> None:
        self._values = values
        self.by = by
        self.shut_out = shut_out
        self.tell = tell or tell_nobody

    def text(self, name: str) -> str:
        """A text that must be there."""
        value = self._values.get(name)
        if not isinstance(value, str):
            raise MalformedRequest(f"{name} must be given, as a text", where=name)
        return _check_text(name, value)

    def optional(self, name: str) -> str | None:
        """A text, or None when it is absent."""
        return None if self._values.get(name) is None else self.text(name)

    def seen_through(self) -> Instant | None:
        """When what the person saw of something was said last; the beginning of time: nothing was. None: not said."""
        text = self.optional("through")
        return None if text is None else parse_instant(text) if text else Instant(0)

    def texts(self, name: str) -> list[str]:
        """A list of texts; absent means empty."""
        value = self._values.get(name, [])
        if not isinstance(value, list):
            raise MalformedRequest(f"{name} must be a list of texts", where=name)
        found = [item for item in value if isinstance(item, str)]
        if len(found) != len(value):
            raise MalformedRequest(f"{name} must be a list of texts", where=name)
        return [_check_text(name, item) for item in found]

    def flag(self, name: str) -> bool:
        """Yes or no; absent means no."""
        value = self._values.get(name, False)
        if not isinstance(value, bool):
            raise MalformedRequest(f"{name} must be true or false", where=name)
        return value

    def number(self, name: str, *, most: int) -> int:
        """A whole number from 0 to `most`."""
        value = self._values.get(name)
        if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= most:
            raise MalformedRequest(f"{name} must be a whole number from 0 to {most}", where=name)
        return value

    def optional_number(self, name: str, *, most: int) -> int | None:
        """A whole number from 0 to `most`, or None when it is absent."""
        return None if self._values.get(name) is None else self.number(name, most=most)

    def data(self, name: str) -> bytes:
        """Bytes, which travel as base64."""
        try:
            return binascii.a2b_base64(self.text(name), strict_mode=True)
        except binascii.Error as error:
            raise MalformedRequest(f"{name} must be base64 ({error})", where=name) from error


def _check_text(name: str, value: str) -> str:
    """The value, which can be written down: a word on a command line that is not UTF-8 comes as lone surrogates."""
    try:
        value.encode()
    except UnicodeEncodeError as error:
        raise MalformedRequest(f"{name} is not a text in UTF-8; write it anew", where=name) from error
    return value
