# SPDX-License-Identifier: Apache-2.0
"""Shell: what became of a certificate, in words; the certificate itself is `operations.printing`."""

from typing import Any

from comity.cli.words.layout import printable, shorten

__all__ = ["describe_certificate", "warn_of_problems"]


def describe_certificate(result: dict[str, Any]) -> str:
    """Where it was written, the state it tells, and whether all of it verified."""
    return "\n".join(
        [
            f"{printable(result['title'])} ({shorten(result['agreement'])}): written to {printable(result['file'])}",
            f"  state   {printable(result['sentence'])}",
            *([f"  {len(result['checks'])} of {len(result['checks'])} verified"] if result["verified"] else []),
        ]
    )


def warn_of_problems(result: dict[str, Any]) -> str | None:
    """What does not verify, for a person who may not open the file; None when all does."""
    if result["verified"]:
        return None
    return "\n".join(
        [
            f"NOT VERIFIED: {result['problems']} of {len(result['checks'])}; do not rely on this certificate",
            *(
                f"  {printable(check['covers'])} ({shorten(check['digest'])}): {printable(check['problem'])}"
                for check in result["checks"]
                if not check["verified"]
            ),
        ]
    )
