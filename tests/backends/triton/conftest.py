"""Kernels run through Triton's interpreter, which has to be asked for before Triton is imported.

On a machine with a GPU, `TRITON_INTERPRET=0 pytest -m gpu` runs the tests of the device instead.
"""

from __future__ import annotations

import os

os.environ.setdefault("TRITON_INTERPRET", "1")
