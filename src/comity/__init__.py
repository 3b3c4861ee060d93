# SPDX-License-Identifier: Apache-2.0
"""Comity: share STIX 2.1 objects between authorities under signed agreements, with proof of every disclosure.

Two floors. The pure floor (errors, ids, canonical, signing, stix, tlog, agreement, release, exchange, audit) decides
and touches nothing; the shell (config, keys, store, node, taxii, peers, console, cli) moves bytes. Every module says in
the first word of its docstring on which floor it stands.
"""
