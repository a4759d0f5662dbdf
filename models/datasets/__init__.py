"""Labelled images from the files that data sets are published in, to verify a bundle on them.

``load`` finds out which format a file or folder is of; ``idx``, ``cifar10``, ``svhn`` and
``image_folder`` read one each; ``preprocessing`` makes of images what a model takes.
"""
