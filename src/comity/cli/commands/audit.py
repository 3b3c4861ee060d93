# SPDX-License-Identifier: Apache-2.0
"""Shell: `audit`."""

import re
from typing import TYPE_CHECKING

import click

from comity.cli.session import ActCommand, Session, write_private
from comity.cli.words.audit import describe_audit, warn_of_findings
from comity.errors import MalformedRequest
from comity.operations.reply import Exit

if TYPE_CHECKING:
    from comity.ids import Instant

__all__ = ["audit"]

_DATE = re.compile(r"[0-9]{4}(?:-[0-9]{2}){0,2}", re.ASCII)
_FIRST = "0000-01-01T00:00:00Z"


@click.command(
    "audit",
    short_help="Verify the log, decide every disclosure again, and give the figures.",
    cls=ActCommand,
    example="comity --node /media/evidence/aurelia audit --since 2026 --until 2027 report.html",
)
@click.argument("file", required=False)
@click.option("--digest", metavar="D", help="The digest of the party's manifest, as you have it from elsewhere.")
@click.option("--since", metavar="TIME", help="Figures from TIME on: 2026, 2026-01, 2026-01-31 or a time (RFC 3339).")
@click.option("--until", metavar="TIME", help="Figures up to TIME, which is not included.")
@click.pass_obj
def audit(session: Session, file: str | None, digest: str | None, since: str | None, until: str | None) -> int:
    """Verify the whole log and every signature, decide every disclosure again, and give the figures.

    Each disclosure is decided by the code that decided it, with the terms, the events, this party's policy and the
    labels on record for it. The figures say how much was given to whom, by agreement, legal basis, recipient and month;
    times bound them alone, for everything is verified.

    Nothing is written and no lock is taken: it works on a copy, and while the node is served. The report goes to FILE
    as HTML to print. Exit code 7 when anything does not fit: the report says what, and is written all the same, unless
    the log itself does not fit together.
    """
    from comity.ids import parse_digest
    from comity.node.audit import audit_folder
    from comity.node.clock import read_clock
    from comity.node.steps import tell_nobody
    from comity.operations.audit import format_audit
    from comity.operations.printing import format_report

    begun, ended = _read_time(since), _read_time(until)
    with session.show_progress("deciding again") as tell:
        found = audit_folder(
            session.node_folder(),
            now=read_clock(),
            digest=None if digest is None else parse_digest(digest),
            since=begun,
            until=ended,
            tell=tell or tell_nobody,
        )
    result = format_audit(found)
    if file is not None:
        write_private(file, format_report(result))
        result["file"] = file
    if found.found:
        session.note(warn_of_findings(result))
    session.show(result, describe_audit)
    return Exit.VERIFICATION_FAILED if found.found else Exit.DONE


def _read_time(text: str | None) -> "Instant | None":
    """The time that is said, or that a year, month or day begins with (UTC).

    Raises:
        MalformedRequest: it is none of these.
    """
    from comity.ids import parse_instant

    if text is None:
        return None
    try:
        return parse_instant(text + _FIRST[len(text) :] if _DATE.fullmatch(text) else text)
    except MalformedRequest as error:
        raise MalformedRequest(f"{text!r} is neither a year, month or day nor a time: {error.detail}") from error
