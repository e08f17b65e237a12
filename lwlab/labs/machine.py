"""Sharing the machine with a browser.

A lab runs beside the browser that shows it. Where torch takes every core, the two wait for each
other: with one busy process beside it, training on two cores falls from 70 to 19 steps a second,
while one core alone holds 40. So the first lab leaves one core to the browser.
"""

from __future__ import annotations

import os
from functools import cache

import torch

__all__ = ["leave_a_core_to_the_browser"]


@cache
def leave_a_core_to_the_browser() -> int:
    """Let torch use one core less than there are; once a process.

    A number of threads that somebody chose (``OMP_NUM_THREADS``, or fewer threads than cores) is
    left as it is.

    Returns:
        The number of threads torch uses from now on.
    """
    cores = os.cpu_count() or 1
    chosen = "OMP_NUM_THREADS" in os.environ or torch.get_num_threads() < cores
    if not chosen:
        torch.set_num_threads(max(1, cores - 1))
    return torch.get_num_threads()
