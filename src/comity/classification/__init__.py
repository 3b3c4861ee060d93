# SPDX-License-Identifier: Apache-2.0
"""Pure: what a party says of objects, by people and by rules; lists of subjects; threat assessments."""
