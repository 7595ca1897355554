"""The languages besides English: one module each, which holds data and what no table can say.

What they have in common is in `server.text.normalize.rules` (written text to words) and
`server.text.pronouncer` (words to phones). English has rules of its own.
"""
