"""Ways to a machine that runs a bundle: this one, an emulated CPU, later a board over ssh."""
