"""Triton kernels for GPUs, imported only where they run: Triton may be absent."""
