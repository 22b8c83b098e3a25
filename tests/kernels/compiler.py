"""What the tests of the compiled kernels share."""

import pytest

from ssdet.kernels.compiled import library

needs_compiler = pytest.mark.skipif(
    library() is None, reason="there is no C++ compiler to build the kernels with"
)
