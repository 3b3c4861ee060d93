# SPDX-License-Identifier: Apache-2.0
"""Shell: which TLS keys the servers of partners may show, by the manifests that are pinned here.

A key has to stand in the manifest of every partner that is said to be at an address: what is shown there speaks for
all of them. A partner whose manifest names no TLS keys may show any that an authority vouches for.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import httpx

from comity.ids import Digest, PartyId
from comity.node.node import Node
from comity.node.parties import list_parties
from comity.store.changes import read_changes

__all__ = ["TlsKeys", "find_address", "read_tls_keys"]

_PORTS = {"https": 443, "http": 80}


@dataclass(frozen=True, slots=True, kw_only=True)
class TlsKeys:
    """The digests of the TLS keys that may be shown at one address, and whose manifests say so."""

    parties: tuple[PartyId, ...]
    keys: frozenset[Digest]


def read_tls_keys(node: Node) -> Mapping[tuple[str, int], TlsKeys]:
    """By host and port, for each address of a partner whose manifest names any; read anew when that has changed."""
    changes = read_changes(node.store)
    remembered = node.remembered.get("tls keys")
    if remembered is not None and remembered[0] == changes and isinstance(remembered[1], dict):
        return remembered[1]
    found: dict[tuple[str, int], TlsKeys] = {}
    for known in list_parties(node):
        address = None if known.url is None else _read_address(known.url)
        if address is not None and known.manifest.tls:
            named = frozenset(known.manifest.tls)
            before = found.get(address, TlsKeys(parties=(), keys=named))
            found[address] = TlsKeys(parties=(*before.parties, known.manifest.party), keys=before.keys & named)
    node.remembered["tls keys"] = changes, found
    return found


def find_address(url: httpx.URL) -> tuple[str, int]:
    """The host, as it is looked up and asked for in TLS (a name that is not ASCII in its A-labels), and the port.

    Raises:
        KeyError: another scheme, of which no port is known.
    """
    return url.raw_host.decode("ascii").lower(), url.port or _PORTS[url.scheme]


def _read_address(url: str) -> tuple[str, int] | None:
    """What is connected to for a URL; None where it is none, which nobody can call either."""
    try:
        return find_address(httpx.URL(url))
    except (httpx.InvalidURL, KeyError):
        return None
