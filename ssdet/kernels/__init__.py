"""Operators that PyTorch runs far from the hardware's limit, each with a plain twin."""
