"""Reference networks, in PyTorch, and their export to ONNX.

``edgewright.models.registry`` lists and builds them, ``edgewright.models.export`` writes them.
Importing this package, listing the networks or asking for one that does not exist never imports
torch: only building and exporting do.
"""
