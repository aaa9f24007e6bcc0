"""The backend for CPUs: generated LLVM vector code that runs a whole Program for one tile of the batch at a time."""
