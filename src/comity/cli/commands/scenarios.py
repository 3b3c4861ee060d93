# SPDX-License-Identifier: Apache-2.0
"""Shell: `agreement test`."""

import click

from comity.cli.session import ActCommand, Session
from comity.cli.words.scenarios import describe_run, draw_matrices
from comity.errors import MalformedRequest
from comity.operations.reply import Exit

__all__ = ["check_scenarios"]


@click.command("test", cls=ActCommand, example="comity agreement test scenarios/ --matrices scenarios/matrices")
@click.argument("paths", metavar="FILE_OR_DIR...", nargs=-1, required=True)
@click.option("--matrix", is_flag=True, help="Print the release matrix of each scenario.")
@click.option("--matrices", metavar="DIR", help="Hold each release matrix against DIR/NAME.txt, which was reviewed.")
@click.option("--rewrite", is_flag=True, help="Write the release matrices into --matrices instead: they count then.")
@click.pass_obj
def check_scenarios(
    session: Session, paths: tuple[str, ...], matrices: str | None, *, matrix: bool, rewrite: bool
) -> int:
    """Run scenarios (YAML): agreements, objects and events, and what must follow from them. No node is needed.

    Exit code 1 when one does not hold: a state, a decision or its clause is another than it says.
    """
    from comity.cli.scenarios import run_files

    if rewrite and matrices is None:
        raise MalformedRequest("--rewrite needs --matrices DIR: where are the matrices to be written?")
    result = run_files(paths, matrices=matrices, rewrite=rewrite)
    session.show(result, draw_matrices if matrix else describe_run)
    return Exit.FAILED if result["failed"] else Exit.DONE
