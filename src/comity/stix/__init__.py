# SPDX-License-Identifier: Apache-2.0
"""Pure: received STIX 2.1 objects, the markings that hold on them, and the label that terms test."""
