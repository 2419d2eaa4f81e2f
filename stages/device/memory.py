"""The card's memory: what CuPy, cuDF and cuML of one process take comes from one pool, with a bound."""

from functools import cache
from typing import Any

POOL_BYTES = 1 << 30
"""For each process of a stage but the encoder's. A batch of 512 excerpts of CLEAR's lengths has some 600,000
characters, of which about thirty arrays of eight bytes are alive at a time: 150 MB. Not measured."""


@cache
def share_one_pool(gpu: int) -> Any:
    """Use this GPU from now on, with RMM's pool for all; gives the module `cupy`.

    A second call in a process leaves the pool as it is: RMM would free it under the arrays that still lie in it, which
    ended the process on an H200.

    Raises:
        ImportError: if RAPIDS or CuPy is not installed.
    """
    import cupy
    import rmm
    from rmm.allocators.cupy import rmm_cupy_allocator

    cupy.cuda.Device(gpu).use()
    rmm.reinitialize(
        pool_allocator=True, initial_pool_size=POOL_BYTES // 8, maximum_pool_size=POOL_BYTES, devices=[gpu]
    )
    cupy.cuda.set_allocator(rmm_cupy_allocator)
    return cupy
