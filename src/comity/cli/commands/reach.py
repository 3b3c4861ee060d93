# SPDX-License-Identifier: Apache-2.0
"""Shell: `reach`."""

from collections.abc import Sequence

import click

from comity.cli.session import ActCommand, Session
from comity.cli.words.reach import describe_reach

__all__ = ["reach"]


@click.command(
    short_help="Say where such an object could end up.",
    cls=ActCommand,
    example="comity --node aurelia reach --attribute tlp=amber --attribute subject=unsc:QDe.901 --certify",
)
@click.option("--attribute", "attributes", metavar="NAME=VALUE", multiple=True, help="What is known of the object.")
@click.option("--to", "party_id", metavar="PARTY", help="Ask about this party only.")
@click.option("--proposed", is_flag=True, help="Count proposals too that nobody rejected.")
@click.option("--without-consent", is_flag=True, help="Count consent to passing on as refused, not as granted.")
@click.option("--certify", is_flag=True, help="Have z3 check what is said (pip install 'comity[proof]').")
@click.pass_obj
def reach(  # each option is an argument
    session: Session,
    attributes: Sequence[str],
    party_id: str | None,
    *,
    proposed: bool,
    without_consent: bool,
    certify: bool,
) -> int:
    """Say which parties an object with these attributes could ever be given to, over every chain of agreements here.

    For each such party one chain is shown. For every other party the answer is "never", whatever happens in between.
    Attributes are type, tlp, marking, subject, region, kind, person_class, special_category, handling and originator;
    what is not given is free. Suspended agreements count, because they can be resumed.
    """
    return session.run(
        "reach",
        {
            "attributes": [*attributes],
            "to": party_id,
            "proposed": proposed,
            "without_consent": without_consent,
            "certify": certify,
        },
        describe_reach,
    )
