# SPDX-License-Identifier: Apache-2.0
"""Settings that every test shares."""

from hypothesis import HealthCheck, settings

# A deadline measures the machine, not the law: a busy one would fail true properties; so does how long it takes to make
# examples. The blob printed with a failing example replays it anywhere.
settings.register_profile("comity", deadline=None, suppress_health_check=[HealthCheck.too_slow], print_blob=True)
settings.load_profile("comity")
