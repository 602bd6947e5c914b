"""The cortex at full size: a mean field on a structural connectome, solved fast, and what a scanner would see of it.

Research software: what it computes is never advice for a person.
"""
