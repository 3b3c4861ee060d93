# SPDX-License-Identifier: Apache-2.0
"""Settings that every test shares."""

from hypothesis import settings

# A deadline measures the machine, not the law: a busy one would fail true properties. The blob printed with a failing
# example replays it anywhere.
settings.register_profile("comity", deadline=None, print_blob=True)
settings.load_profile("comity")
