# SPDX-License-Identifier: Apache-2.0
"""Pure: a transparency log's hashes and notes, readable by every C2SP witness, monitor and client."""
