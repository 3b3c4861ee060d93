# SPDX-License-Identifier: Apache-2.0
"""Shell: `log`."""

import base64
import json

import click

from comity.cli.session import ActCommand, PersonCommand, Session, write_new
from comity.cli.words.journal import (
    describe_checkpoint,
    describe_entry,
    describe_given,
    describe_proof,
    describe_reader,
    describe_removed,
    describe_verified,
    list_entries,
    list_readers,
    list_relationships,
)
from comity.cli.words.receipts import describe_receipt, describe_waived, list_refused
from comity.operations.reply import Exit

__all__ = ["log"]


@click.group()
def log() -> None:
    """The disclosure log: what left, to whom, when."""


@log.command(
    "list",
    short_help="List the last entries.",
    cls=ActCommand,
    example="comity --node aurelia log list --to borealia --since 2026-10",
)
@click.option("--last", metavar="N", type=click.IntRange(1, 100_000), default=20, show_default=True, help="How many.")
@click.option("--before", metavar="ENTRY", type=click.IntRange(0), help="Before this entry: how to read on.")
@click.option("--to", metavar="PARTY", multiple=True, help="What went to PARTY.")
@click.option("--under", metavar="ID", multiple=True, help="Under this agreement, or a text of it.")
@click.option("--object", metavar="ID", multiple=True, help="What names this object.")
@click.option("--basis", metavar="REF", multiple=True, help="Under terms that cite this legal basis.")
@click.option("--since", metavar="TIME", help="From TIME on: a year, a month, a day or an instant.")
@click.option("--until", metavar="TIME", help="Up to TIME, which is not included.")
@click.option("--kind", metavar="TYPE", multiple=True, help="Entries of this type.")
@click.option("--except", "excluded", metavar="QUALIFIER", multiple=True, help="None of these: kind:log-heads, say.")
@click.pass_obj
def list_command(
    session: Session,
    /,
    last: int,
    before: int | None,
    excluded: tuple[str, ...],
    **wanted: tuple[str, ...] | str | None,
) -> int:
    """List the last entries, oldest first: all, or those that the options ask for.

    An option that is given twice asks for either; different ones have to hold together.
    """
    names = ("to", "under", "object", "basis", "kind", "since", "until")
    listed = [(name, [value] if isinstance(value := wanted[name], str) else value or ()) for name in names]
    words = [f'{name}:"{value}"' for name, values in listed for value in values] + [f"-{word}" for word in excluded]
    return session.run("log.list", {"last": last, "before": before, "q": " ".join(words)}, list_entries)


@log.command("show", cls=ActCommand, example="comity --node aurelia log show 12")
@click.argument("entry", metavar="ENTRY")
@click.pass_obj
def show(session: Session, entry: str) -> int:
    """Show ENTRY with its content: its number from 0, or a unique beginning of its commitment."""
    return session.run("log.show", {"entry": entry}, describe_entry)


@log.command(
    "prove",
    short_help="Prove one entry, and check it again.",
    cls=ActCommand,
    example="comity --node aurelia log prove 12",
)
@click.argument("entry", metavar="ENTRY")
@click.pass_obj
def prove(session: Session, entry: str) -> int:
    """Show that ENTRY is in its log, and check it again: opening, inclusion, signature, witnesses, and its receipt.

    The whole log is verified by `log verify`. What does not hold is said, with exit code 7.
    """
    return session.run("log.prove", {"entry": entry}, describe_proof)


@log.command("figures", short_help="Count what was given.", cls=ActCommand, example="comity --node aurelia log figures")
@click.pass_obj
def figures(session: Session) -> int:
    """Count the answers that went out, by recipient, agreement and month, without reading them.

    How many objects they had, and by which legal basis, an audit says: `comity audit`.
    """
    return session.run("log.figures", {}, describe_given)


@log.command(
    "checkpoint",
    short_help="Print the last signed checkpoint.",
    cls=ActCommand,
    example="comity --node aurelia log checkpoint",
)
@click.option("--log", "name", metavar="LOG", help="Of the log with this origin, or whose origin ends so.")
@click.pass_obj
def checkpoint(session: Session, name: str | None) -> int:
    """Print the last checkpoint this party signed of the house's log (C2SP tlog-checkpoint), byte for byte."""
    return session.run("log.checkpoint", {"log": name}, describe_checkpoint)


@log.command(
    "relationships",
    short_help="List the logs of relationships.",
    cls=ActCommand,
    example="comity --node aurelia log relationships",
)
@click.pass_obj
def relationships(session: Session) -> int:
    """List the logs beside the house's: one for what is given to one recipient under one agreement."""
    return session.run("log.relationships", {}, list_relationships)


@log.command(
    "receipt",
    short_help="Write the receipt for a disclosure.",
    cls=ActCommand,
    example="comity --node aurelia log receipt 12 --out receipt.json",
)
@click.argument("entry", metavar="ENTRY")
@click.option("--from", "giver", metavar="PARTY", help="The receipt that this partner gave for its disclosure ENTRY.")
@click.option("--out", "file", metavar="FILE", help="Write it there, byte for byte.")
@click.pass_obj
def receipt(session: Session, entry: str, giver: str | None, file: str | None) -> int:
    """Give the receipt for the disclosure that is ENTRY of this party's log, for its recipient or an auditor.

    ENTRY is the number of the entry from 0, or a unique beginning of its commitment. With --from it is the number of a
    partner's disclosure to this party, from 1: what is given is the receipt that the partner gave and that was kept.
    `comity verify` needs the receipt and the giver's manifest, and nothing else.
    """
    reply = session.carry_out("log.receipt", {"entry": entry, "from": giver})
    if file is not None and reply.result is not None:
        write_new(file, str(reply.result["receipt"]))
    return session.finish(reply, describe_receipt if file is None else lambda _: f"receipt written to {file}")


@log.command(
    "refused",
    short_help="List what was refused of partners.",
    cls=ActCommand,
    example="comity --node borealia log refused 1 --out evidence.json",
)
@click.argument("number", metavar="[NUMBER]", required=False)
@click.option("--out", "file", metavar="FILE", help="Write number, reason and bytes there, as JSON.")
@click.pass_obj
def refused(session: Session, number: str | None, file: str | None) -> int:
    """List the pages of partners that their receipts did not show, and that were refused whole.

    With NUMBER and --out what the partner sent is written out: the page, the receipt and the proof, in base64.
    """
    reply = session.carry_out("log.refused", {"number": number})
    if file is not None and reply.result is not None:
        write_new(file, json.dumps(reply.result, indent=2) + "\n")
    return session.finish(reply, list_refused)


@log.command(
    "waive",
    short_help="Let disclosures stand without receipts.",
    cls=PersonCommand,
    example='comity --node borealia --as anna.badge log waive aurelia --through 17 --reason "purged there, note 12"',
)
@click.argument("party_id", metavar="PARTY")
@click.option("--through", metavar="N", type=int, required=True, help="The number of PARTY's last disclosure so.")
@click.option("--reason", metavar="TEXT", required=True, help="Why; it goes into the log.")
@click.pass_obj
def waive(session: Session, party_id: str, through: int, reason: str) -> int:
    """Let PARTY's disclosures up to number N stand here without receipts, as it can never give them, and pull on.

    It takes two people, one of them as legal, who asked PARTY why, and for N. Nothing is taken in by it: what comes
    after has to be shown as before. Until PARTY has reached N, all its pages are refused.
    """
    return session.run_as("log.waive", {"party": party_id, "through": through, "reason": reason}, describe_waived)


@log.command(
    "verify",
    short_help="Verify the whole log.",
    cls=ActCommand,
    example="comity --node /media/evidence/aurelia log verify --digest 8c78…",
)
@click.option("--digest", metavar="D", help="The digest of the party's manifest, as you have it from elsewhere.")
@click.pass_obj
def verify(session: Session, digest: str | None) -> int:
    """Verify every entry, tile and checkpoint of all logs against each other and against this party's log key.

    Nothing is written and no lock is taken: it works on a copy, and while the node is served. A mismatch names the
    entry and gives exit code 7.
    """
    from comity.ids import parse_digest
    from comity.node.journal import verify_folder

    pinned = None if digest is None else parse_digest(digest)
    verified = verify_folder(session.node_folder(), digest=pinned)
    session.show(
        {
            "size": verified.size,
            "root": base64.b64encode(verified.root).decode(),
            "checkpoints": verified.checkpoints,
            "disclosures": verified.disclosures,
            "opened": verified.opened,
            "purged": verified.purged,
            "origin": verified.origin,
            "house": verified.house,
            "logs": [
                {
                    "origin": each.origin,
                    "agreement": each.agreement,
                    "recipient": each.recipient,
                    "size": each.size,
                    "root": base64.b64encode(each.root).decode(),
                    "closed": each.closed,
                }
                for each in verified.logs
            ],
            "manifest": verified.manifest,
        },
        describe_verified,
    )
    return Exit.DONE


@log.group("reader")
def reader() -> None:
    """Who may read the log over HTTP: nobody, until permitted here."""


@reader.command(
    "add",
    short_help="Permit READER to read the log.",
    cls=ActCommand,
    example="comity --node aurelia log reader add oversight --days 90",
)
@click.argument("name", metavar="READER")
@click.option("--days", metavar="N", type=int, default=365, show_default=True, help="How long it is good.")
@click.pass_obj
def add_reader(session: Session, name: str, days: int) -> int:
    """Permit READER, a body that oversees this party, to read the log over HTTP, and print its secret, this once.

    It sees every leaf: to whom this party gave, when, how much, under which terms; not what. A partner cannot be one.
    The secret is the password of HTTP Basic (with any user name), a Bearer token or X-API-Key.
    """
    reply = session.carry_out("log.reader.add", {"reader": name, "days": days})
    code = session.finish(reply, describe_reader)
    if reply.result is not None:
        session.note(
            f"For {name} alone, until {str(reply.result['expires_at'])[:10]}. It cannot be shown again; to remove it,"
            f" name {reply.result['id']}."
        )
    return code


@reader.command("list", cls=ActCommand, example="comity --node aurelia log reader list")
@click.pass_obj
def list_permitted(session: Session) -> int:
    """List who may read the log, and who might: until when, last used on which day. No secret is shown."""
    return session.run("log.reader.list", {}, list_readers)


@reader.command("remove", cls=ActCommand, example="comity --node aurelia log reader remove oversight")
@click.argument("name", metavar="READER")
@click.pass_obj
def remove_reader(session: Session, name: str) -> int:
    """Let READER read no more, from the next request on: a name, with all it was given, or the ID of one permission.

    What it has read it keeps.
    """
    return session.run("log.reader.remove", {"reader": name}, describe_removed)
