# SPDX-License-Identifier: Apache-2.0
"""Shell: what one party's node does, one act to a module; the only room that opens the store and the keys.

founding   a folder becomes a node          standing   events become the state of an agreement
parties    who is pinned, who is asking     agree      a proposal, signature or suspension becomes an event
ingest     received bytes become objects    poll       gate → catch up → page → decide → redact → log → COMMIT → bytes
explain    which clause decided             journal    the disclosure log, listed and verified
"""
