"""Whisper checkpoints from outside: each published layout is one module that reads it; `at_rest` writes the one we keep."""
