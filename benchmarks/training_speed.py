"""How fast the image tower trains here, and what each measure gains, as ratios within one run.

    python benchmarks/training_speed.py [--seconds 8]

Each way runs in a process of its own, because the allocator is tuned once per process.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time

WAYS = {
    "float32": {"bf16": False, "depthwise": False, "allocator": False},
    "bf16": {"bf16": True, "depthwise": False, "allocator": False},
    "bf16, depthwise in float32": {"bf16": True, "depthwise": True, "allocator": False},
    "bf16, depthwise in float32, allocator": {"bf16": True, "depthwise": True, "allocator": True},
    "... and frozen batch norm": {"bf16": True, "depthwise": True, "allocator": True, "frozen": True},
}


def measure(way: dict[str, bool], seconds: float) -> float:
    """Return images per second of forward, backward and step of EfficientNet-Lite0 at 128 px, batch 32."""
    import timm
    import torch

    from galaxalign.models.cpu import depthwise_in_fp32, tune_allocator
    from galaxalign.training.batch_norm import freeze_batch_norm

    if way["allocator"]:
        tune_allocator()
    torch.manual_seed(0)
    tower = timm.create_model("tf_efficientnet_lite0", num_classes=0).to(memory_format=torch.channels_last).train()
    if way.get("frozen"):
        freeze_batch_norm(tower)
    if way["depthwise"]:
        depthwise_in_fp32(tower)
    optimizer = torch.optim.AdamW(tower.parameters(), 1e-4)
    images = torch.randn(32, 3, 128, 128).to(memory_format=torch.channels_last)

    def step() -> None:
        with torch.autocast("cpu", torch.bfloat16, enabled=way["bf16"]):
            features = tower(images)
        features.float().pow(2).mean().backward()
        optimizer.step()
        optimizer.zero_grad()

    for _ in range(3):
        step()
    started, steps = time.perf_counter(), 0
    while time.perf_counter() - started < seconds:
        step()
        steps += 1
    return 32 * steps / (time.perf_counter() - started)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--seconds", type=float, default=8)
    parser.add_argument("--way", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.way:
        print(measure(json.loads(args.way), args.seconds))
        return
    first = 0.0
    for name, way in WAYS.items():
        command = [sys.executable, __file__, "--seconds", str(args.seconds), "--way", json.dumps(way)]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        rate = float(done.stdout.split()[-1])
        first = first or rate
        print(f"{name:42s} {rate:6.1f} images/s  {rate / first:4.2f} x", flush=True)


if __name__ == "__main__":
    main()
