"""Predictions, the protocols that judge them, and their ensembles."""
