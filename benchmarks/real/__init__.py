"""Checks with real weights and human speech: material from pinned packages, sets of speech, readers and scores.

Nothing of it is part of the project: packages are installed by version and hash into a cache outside the checkout.
"""
