# SPDX-License-Identifier: Apache-2.0
"""Shell: `verify`."""

from collections.abc import Sequence

import click

from comity.cli.session import ActCommand, Session, read_input
from comity.cli.words.receipts import describe_verified
from comity.operations.reply import Exit

__all__ = ["verify"]


@click.command(
    short_help="Verify a receipt; no node is needed.",
    cls=ActCommand,
    example="comity verify receipt.json --manifest aurelia.json --object indicator.json",
)
@click.argument("receipt", metavar="RECEIPT")
@click.option("--manifest", "manifests", metavar="FILE", multiple=True, required=True, help="The giver's manifest.")
@click.option("--policy", metavar="FILE", help="Which witnesses must have cosigned (C2SP tlog-policy).")
@click.option("--object", "objects", metavar="FILE", multiple=True, help="An object exactly as it was received.")
@click.pass_obj
def verify(session: Session, receipt: str, manifests: Sequence[str], policy: str | None, objects: Sequence[str]) -> int:
    """Verify RECEIPT, a file by which a party shows what was disclosed to whom, under which terms and when.

    Nothing is asked of anybody: neither a node nor a network is needed. A part that does not match is named, with exit
    code 7. Manifests of several parties, or several versions of one, can be given; those of no concern change nothing.
    What a witness says to have cosigned before the disclosure, or later than this machine's clock, does not count.
    """
    from comity.node.clock import read_clock
    from comity.operations.showing import verify_files

    result = verify_files(
        read_input(receipt),
        manifests={path: read_input(path) for path in manifests},
        policy=None if policy is None else read_input(policy),
        objects={path: read_input(path) for path in objects},
        now=read_clock(),
    )
    session.show(result, describe_verified)
    return Exit.DONE
