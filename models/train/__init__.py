"""Fits small networks in seconds, on real data that needs no download.

``digits`` has the data and two networks, ``fit`` trains by gradient descent, momentum or Adam,
``regularization`` keeps weights small or makes them zero, one by one or a channel at a time, and
``prune`` takes the zero channels out. Everything is decided by a seed.
"""
