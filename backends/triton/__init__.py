"""The backend for GPUs: Programs as a few fused Triton kernels."""
