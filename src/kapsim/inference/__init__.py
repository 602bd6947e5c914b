"""Inference: what the published records say about the parameters."""
