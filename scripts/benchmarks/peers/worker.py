"""Common parts of the peers' workers: JSON lines on stdin and stdout, one reply for each request.

{"build": FILE, ...}                    -> {"variants": [...], "versions": {...}, ...}
{"variant": NAME, ...}                  -> {"seconds": ...}

For training, {"build": FILE.npz, "layers": [...]} and {"variant": NAME, "steps": N}: the file holds `inputs` and `targets`
[B, H, W, C], and the weights in the order of the layers as `weight_0`, `weight_1`, ...
"""

import json
import os
import sys
import time

import numpy as np


def serve(build):
    """Answer requests until stdin ends; `build(request)` returns the first reply, and by variant what runs at a request."""
    replies = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what libraries print must not get between the replies
    variants = {}
    for line in sys.stdin:
        request = json.loads(line)
        if "build" in request:
            reply, variants = build(request)
            reply |= {"variants": list(variants)}
        else:
            began = time.perf_counter()
            variants[request["variant"]](request)
            reply = {"seconds": time.perf_counter() - began}
        print(json.dumps(reply), file=replies, flush=True)


def training(build):
    """Return what `serve` takes, from `build(layers, weights, inputs, targets)`, which returns a step for each variant."""

    def loaded(request):
        with np.load(request["build"]) as file:
            weights = [file[f"weight_{i}"] for i in range(len(file.files) - 2)]
            reply, steps = build(request["layers"], weights, file["inputs"], file["targets"])
        return reply, {name: repeated(step) for name, step in steps.items()}

    return loaded


def repeated(step):
    """Return what answers a request of `training`: so many steps."""

    def run(request):
        for _ in range(request["steps"]):
            step()

    return run
