# SPDX-License-Identifier: Apache-2.0
"""Pure: news reports and statements read into drafts: what they mention, where, and which STIX 2.1 object it would be.

    article = parse_plain(data, source=Source(retrieved_at=now))         text, title, date, each with its place
    reading = read_article(article, rules, known)                        mentions and drafts; nothing is a fact yet
    record = assemble_report(reading, Review(confirmed=…), now=now)      the STIX `report` of what a person confirmed

`text`, `html`, `pdf` take the text out of a file; `rules` and `gazetteer` are what people can read and correct; the
rest finds mentions by them. No model, no network, no score: a draft is a proposal to the person who reads the article.
"""
