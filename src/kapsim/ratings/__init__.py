"""What a trial sees of a person: a rating with its error, an entry by a rated score, and whether anyone rates at all.

The chain says the expected score of a scale. A rating is that score with an error, of which a part stays with rater and
patient and a part is new at each visit (`rating_error`, `rated`); who enters a trial is decided on a rating, so that
the next one falls without any treatment (`enrolment`); and some do not come back (`dropout`).
"""
