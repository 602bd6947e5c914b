"""Published population models of ketamine beside the default kinetics, one file each.

They say what other authors would predict for the same dose. Every value is read from an evidence record, none is fitted
or adjusted here, and what a model lacks is declared, not borrowed: only the effect site, of which none of them tells
anything, follows as in the default.
"""
