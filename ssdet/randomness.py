"""Every random draw comes from a generator named by what it is for.

A run therefore does not depend on how many workers load its data, and a resumed run
draws what the undisturbed one would have drawn.
"""

from __future__ import annotations

import hashlib

import torch


def seed_of(*keys: int | str) -> int:
    """A number in [0, 2^63) from keys such as (seed, stage, epoch, step, rank)."""
    digest = hashlib.sha256("/".join(map(str, keys)).encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1


def generator(*keys: int | str) -> torch.Generator:
    """A CPU generator seeded from keys."""
    return torch.Generator().manual_seed(seed_of(*keys))


def uniform_int(low: int, high: int, source: torch.Generator) -> int:
    """An integer in [low, high), each equally likely."""
    return int(torch.randint(low, high, (), generator=source))
