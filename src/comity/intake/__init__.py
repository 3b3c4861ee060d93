# SPDX-License-Identifier: Apache-2.0
"""What people have, read into STIX 2.1 objects record by record; nothing is stored and nothing is released here."""
