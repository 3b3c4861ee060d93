# SPDX-License-Identifier: Apache-2.0
"""Shell: `witness`: how it stands with the witnesses of a node, a witness that is no node, and evidence of forks."""

import json
import sys
from pathlib import Path

import click

from comity.cli.session import ActCommand, Session, read_input
from comity.cli.words.witness import describe_log, describe_shown, describe_witness, list_witnesses
from comity.operations.reply import Exit, Json

__all__ = ["witness"]

_DEFAULT_LISTEN = "127.0.0.1:8450"


@click.group()
def witness() -> None:
    """Witnesses: who has cosigned the log, whose logs are cosigned here, and what contradicts them."""


@witness.command(
    "list",
    short_help="List the witnesses of this node, and the logs it witnesses.",
    cls=ActCommand,
    example="comity --node aurelia witness list",
)
@click.pass_obj
def list_command(session: Session) -> int:
    """List the witnesses of this node's log, the logs that this node has cosigned, and evidence of forks."""
    return session.run("witness.list", {}, list_witnesses)


@witness.command(
    "init",
    short_help="Make a witness that is no node.",
    cls=ActCommand,
    example="comity witness init north --name witness.north.example",
)
@click.argument("folder", metavar="DIR", type=click.Path(path_type=Path))
@click.option("--name", required=True, metavar="NAME", help="The name of its key: a URL without its scheme.")
@click.option("--listen", metavar="HOST:PORT", default=_DEFAULT_LISTEN, show_default=True, help="Where it will listen.")
@click.pass_obj
def init(session: Session, folder: Path, name: str, listen: str) -> int:
    """Make a witness in DIR, which must not exist yet or be empty, and print its verifier key."""
    from comity.config import parse_address
    from comity.tlog.note import format_vkey
    from comity.witness.folder import found_witness

    key = found_witness(folder, name=name, listen=parse_address(listen))
    session.show({"name": key.name, "key": format_vkey(key), "folder": str(folder)}, describe_witness)
    return Exit.DONE


@witness.command(
    "add-log",
    short_help="Let a witness cosign a log.",
    cls=ActCommand,
    example="comity witness add-log north comity/aurelia+0eb0f9ca+AXno…",
)
@click.argument("folder", metavar="DIR", type=click.Path(path_type=Path))
@click.argument("key", metavar="VKEY")
@click.pass_obj
def add_log(session: Session, folder: Path, key: str) -> int:
    """Let the witness in DIR cosign the log of VKEY; one that serves does so from the next request on."""
    from comity.witness.folder import add_log as add

    added = add(folder, key)
    session.show({"origin": added.name, "key": key}, describe_log)
    return Exit.DONE


@witness.command(
    "serve",
    short_help="Cosign heads over HTTP.",
    cls=ActCommand,
    example="comity witness serve north --listen 127.0.0.1:8450",
)
@click.argument("folder", metavar="DIR", type=click.Path(path_type=Path))
@click.option("--listen", metavar="HOST:PORT", help="Where to listen, instead of `listen` in witness.toml.")
@click.pass_obj
def serve(session: Session, folder: Path, listen: str | None) -> int:
    """Run the witness in DIR (C2SP tlog-witness) until stopped by SIGTERM or ctrl-C.

    Prints one line when it is ready.
    """
    import asyncio

    from comity.cli.serve import write_faults
    from comity.config import Address, parse_address
    from comity.tlog.note import format_vkey
    from comity.witness.folder import open_witness
    from comity.witness.server import serve_witness

    def say(bound: Address, encrypted: bool) -> None:  # noqa: FBT001 (called with both by position)
        host = f"[{bound.host}]" if ":" in bound.host else bound.host
        url = f"{'https' if encrypted else 'http'}://{host}:{bound.port}"
        key = format_vkey(opened.cosigner.key)
        click.echo(json.dumps({"url": url, "key": key}) if session.as_json else f"witnessing on {url} as {key}")
        sys.stdout.flush()

    write_faults()
    opened = open_witness(folder)
    try:
        asyncio.run(serve_witness(opened, parse_address(listen) if listen else opened.listen, ready=say))
    finally:
        opened.close()
    return Exit.DONE


@witness.command(
    "show",
    short_help="Show a witness that is no node.",
    cls=ActCommand,
    example="comity witness show north",
)
@click.argument("folder", metavar="DIR", type=click.Path(path_type=Path))
@click.pass_obj
def show(session: Session, folder: Path) -> int:
    """Show the key of the witness in DIR, the last head it cosigned of each log, and evidence of forks.

    No lock is taken: it works while the witness serves.
    """
    from comity.operations.witness import describe_evidence, describe_heads
    from comity.tlog.note import format_vkey
    from comity.witness.folder import inspect_witness

    found = inspect_witness(folder)
    result: dict[str, Json] = {
        "name": found.key.name,
        "key": format_vkey(found.key),
        "logs": list[Json](found.logs),
        "witnessed": describe_heads(found.heads),
        "evidence": describe_evidence(folder, found.evidence),
    }
    session.show(result, describe_witness)
    return Exit.DONE


@witness.command(
    "verify-evidence",
    short_help="Verify evidence of a fork, offline.",
    cls=ActCommand,
    example="comity witness verify-evidence fork-8c78f0.json --manifest borealia.json --digest 8c78…",
)
@click.argument("file", metavar="FILE")
@click.option("--manifest", metavar="M", help="The manifest of the party whose log it is.")
@click.option("--digest", metavar="D", help="The digest of that manifest, as you have it from elsewhere.")
@click.option("--log", "vkey", metavar="VKEY", help="The verifier key of the log, instead of a manifest.")
@click.pass_obj
def verify_evidence(session: Session, file: str, manifest: str | None, digest: str | None, vkey: str | None) -> int:
    """Verify the evidence in FILE with nothing but the key of the log: no node, no network.

    "proved" (exit code 0): the log signed two histories, or its party two statements of what follows it (for these give
    --manifest). "accused" (exit code 1): there is no proof that its heads are of one history, and whoever made the file
    may have left it out: ask the log for one. Evidence that shows nothing gives exit code 7.
    """
    from comity.operations.witness import (
        describe_contradiction,
        describe_verdict,
        find_keys,
        is_contradiction,
        read_evidence,
        read_manifest,
    )
    from comity.release.recovery import verify_contradiction
    from comity.tlog.evidence import Verdict, verify_fork_evidence
    from comity.tlog.note import parse_checkpoint, parse_note

    data, signed = read_input(file), None if manifest is None else read_input(manifest)
    if is_contradiction(data):
        said = verify_contradiction(data, [read_manifest(signed, digest=digest)])
        session.show(describe_contradiction(*said), describe_shown)
        return Exit.DONE
    evidence = read_evidence(data)
    origins = [parse_checkpoint(parse_note(note).text).origin for note in (evidence.first, evidence.second)]
    shown = verify_fork_evidence(evidence, find_keys(signed, origins=origins, digest=digest, vkey=vkey))
    session.show(describe_verdict(shown), describe_shown)
    return Exit.DONE if shown.verdict is Verdict.PROVED else Exit.FAILED
