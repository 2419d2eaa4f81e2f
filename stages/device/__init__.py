"""The string stages as array code: CuPy's arrays on a GPU, NumPy's in tests, the same lines for both."""
