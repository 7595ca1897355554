"""Model families, and the interfaces that the engine knows them by."""

import os

# onnxruntime 1.29 and later sends facts about its sessions to events.data.microsoft.com from the official Linux builds,
# unless this is set before it is imported. This server talks to nobody but its clients.
os.environ["ORT_DISABLE_TELEMETRY"] = "1"
