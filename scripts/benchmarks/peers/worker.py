"""What a peer's worker shares with the others: JSON lines on stdin and stdout, one reply for each request.

{"build": FILE.npz, "layers": [...]}    -> {"parameters": ..., "loss": ..., "variants": [...], "versions": {...}}
{"variant": NAME, "steps": N}           -> {"seconds": ...}

The file holds `inputs` and `targets` [B, H, W, C], and the weights in the order of the layers as `weight_0`, `weight_1`, ...
"""

import json
import os
import sys
import time

import numpy as np


def serve(build):
    """`build(layers, weights, inputs, targets)` returns what the first reply says, and a training step for each variant."""
    replies = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what libraries print must not get between the replies
    steps = {}
    for line in sys.stdin:
        request = json.loads(line)
        if "build" in request:
            with np.load(request["build"]) as file:
                weights = [file[f"weight_{i}"] for i in range(len(file.files) - 2)]
                reply, steps = build(request["layers"], weights, file["inputs"], file["targets"])
            reply |= {"variants": list(steps)}
        else:
            began = time.perf_counter()
            for _ in range(request["steps"]):
                steps[request["variant"]]()
            reply = {"seconds": time.perf_counter() - began}
        print(json.dumps(reply), file=replies, flush=True)
