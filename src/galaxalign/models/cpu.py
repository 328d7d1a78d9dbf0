"""What makes convolutional towers fast on a CPU: see benchmarks/training_speed.py for the measured gain."""

from __future__ import annotations

import ctypes
import os
import platform
from functools import cache
from pathlib import Path

import torch
from torch import Tensor, nn

_MALLOC_TRIM_THRESHOLD, _MALLOC_TOP_PAD, _MALLOC_MMAP_MAX = -1, -2, -4


@cache
def tune_allocator() -> None:
    """Keep freed memory in the process and back it by huge pages (Linux with glibc only).

    Activations of some 100 MB are otherwise given back to the kernel and faulted in again at every step.
    Call before the first large tensor is made.
    """
    os.environ.setdefault("THP_MEM_ALLOC_ENABLE", "1")
    if platform.libc_ver()[0] == "glibc":
        libc = ctypes.CDLL(None)
        libc.mallopt(_MALLOC_MMAP_MAX, 0)
        libc.mallopt(_MALLOC_TRIM_THRESHOLD, -1)  # never
        libc.mallopt(_MALLOC_TOP_PAD, 2**28)


@cache
def bf16_is_fast(device_type: str) -> bool:
    """Tell whether this device multiplies bfloat16 matrices faster than float32."""
    if device_type == "cuda":
        return bool(torch.cuda.is_bf16_supported())
    flags = Path("/proc/cpuinfo")
    return device_type == "cpu" and flags.is_file() and "avx512_bf16" in flags.read_text()


class _Fp32Mixin(nn.Conv2d):
    def forward(self, x: Tensor) -> Tensor:
        with torch.autocast(x.device.type, enabled=False):
            return super().forward(x.float())


def depthwise_in_fp32(module: nn.Module) -> None:
    """Let every depthwise convolution of `module` compute in float32 under autocast, in place.

    The gradient of a strided depthwise convolution takes up to 100 times longer in bf16 than in
    float32 (PyTorch 2.15, oneDNN); pointwise convolutions gain from bf16.
    """
    for layer in module.modules():
        if isinstance(layer, nn.Conv2d) and layer.groups == layer.in_channels > 1:
            if isinstance(layer, _Fp32Mixin):
                continue
            kind = type(layer)  # timm pads "same" in a subclass: keep its forward, in float32
            layer.__class__ = type(f"Fp32{kind.__name__}", (_Fp32Mixin, kind), {})
