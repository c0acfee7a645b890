"""Clips: read and written with every stream that was in them, and checked."""
