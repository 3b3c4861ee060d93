# SPDX-License-Identifier: Apache-2.0
"""Shell: the program that audits: a process of its own, so that whoever is served meanwhile is (`operations.audit`).

It is no command. Its arguments are the process that started it, with which it ends, the folder of a node, and the times
that bound the figures ("-" for none). It takes no lock and writes nothing but lines of JSON on its standard output: how
many entries of how many were decided again, and in the end the audit, or what it failed with.
"""

import json
import os
import sys
import time
from pathlib import Path

from comity.operations.parent import die_with

__all__ = ["main"]

_NICENESS = 10
"""Whoever polls goes first."""
_PAUSE_SECONDS = 0.2


def main() -> None:
    """Audit the folder that is named."""
    die_with(int(sys.argv[1]))
    os.nice(_NICENESS)
    from comity.errors import ComityError
    from comity.ids import parse_instant
    from comity.node.audit import audit_folder
    from comity.node.clock import read_clock
    from comity.operations.audit import format_audit
    from comity.operations.reply import fail_with

    since, until = (None if text == "-" else parse_instant(text) for text in sys.argv[3:5])
    told = 0.0

    def tell(done: int, of: int) -> None:
        nonlocal told
        if time.monotonic() - told > _PAUSE_SECONDS:
            told = time.monotonic()
            _say({"done": done, "of": of})

    try:
        found = audit_folder(Path(sys.argv[2]), now=read_clock(), since=since, until=until, tell=tell)
    except ComityError as error:
        reply = fail_with(error)
        _say({"code": reply.code, "error": reply.error})
        return
    _say({"audit": format_audit(found)})


def _say(line: object) -> None:
    print(json.dumps(line, ensure_ascii=False), flush=True)  # noqa: T201 (its standard output is how it answers)


if __name__ == "__main__":
    main()
