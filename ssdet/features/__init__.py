"""Cached features of trained detectors."""
