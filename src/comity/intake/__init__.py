# SPDX-License-Identifier: Apache-2.0
"""Pure: what people have, read into STIX 2.1 objects, record by record; nothing is stored or released here."""
