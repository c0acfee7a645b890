"""Training: steps, the loop, the optimizer, run directories and their checkpoints."""
