"""The reference networks, one file each, written after the papers they name.

Every file holds ``build() -> torch.nn.Module``: the untrained network, as PyTorch initialises it.
``edgewright.models.registry`` names them all and gives them seeded weights.
"""
