"""Use of trained weights: frames in, frames out. Nothing of training is imported here."""
