"""Temporal activity detection with weakly-guided self-supervised pretraining."""

__version__ = "0.1.0"
