"""Layers: convolutions that are fast on a CPU too, and batch normalization."""
