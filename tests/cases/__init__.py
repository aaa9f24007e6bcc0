"""Small circuits as spec texts, each with the function that it computes written by hand: see `case.py`."""
