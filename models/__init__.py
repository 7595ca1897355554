"""Model families, and the interfaces that the engine knows them by: `speech`, `hearing`, `voices`.

Shape alphabet, used in every docstring of this repository:

=====  ==========================================================
``B``  rows of a batch (one row is one slot that steps)
``P``  phones of a segment
``T``  frames (synthesis: 5 ms; recognition: one encoder position)
``C``  channels
``H``  attention heads
``D``  size of one attention head
``M``  mel bands
``S``  audio samples
``V``  entries of a vocabulary
=====  ==========================================================

The interfaces need nothing but NumPy, so the whole server runs (and is tested) with fakes on a machine without torch.
"""

import os

# onnxruntime 1.29 and later sends facts about its sessions to events.data.microsoft.com from the official Linux builds,
# unless this is set before it is imported. This server talks to nobody but its clients.
os.environ["ORT_DISABLE_TELEMETRY"] = "1"
