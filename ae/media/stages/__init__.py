"""Stages of clips (see `ae.runtime.chain`): what is computed of the frames between reading and writing."""
