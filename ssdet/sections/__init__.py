"""The parts of config.py, by subject."""
