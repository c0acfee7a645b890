"""Scores of any predictor: metrics over a split, baselines, floating-point operations."""
