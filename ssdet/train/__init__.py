"""Training stages, the loop they share, and how trained networks are run."""
