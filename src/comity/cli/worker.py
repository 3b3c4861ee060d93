# SPDX-License-Identifier: Apache-2.0
"""Shell: the program of a worker: a process that answers partners, started by the one that serves the node.

It is no command. Its one argument is the process that must be there as long as it is; what else it needs comes as a
pickle on its standard input, from that process, together with the descriptors that it inherits. A signal to all
processes of a terminal or a service is for the first process, which then lets answers under way end.
"""

import pickle
import signal
import sys

from comity.operations.parent import die_with

__all__ = ["main"]

_SWITCH_SECONDS = 0.000_2


def main() -> None:
    """Answer partners until the first process says to stop, or has gone."""
    # Before anything else is even loaded: this process holds the lock of the store from its first moment on.
    die_with(int(sys.argv[1]))
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    import asyncio

    from comity.cli.serve import write_faults
    from comity.taxii.worker import work
    from comity.taxii.workers import Given

    given = pickle.load(sys.stdin.buffer)  # noqa: S301 (from the process that started this one)
    assert isinstance(given, Given)  # noqa: S101 (nobody else starts a worker)
    # The thread that waits for a turn holds it up until it is let run: by default that can take 5 ms.
    sys.setswitchinterval(_SWITCH_SECONDS)
    write_faults()
    asyncio.run(work(given))


if __name__ == "__main__":
    main()
