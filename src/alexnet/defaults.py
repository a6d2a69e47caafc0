"""What is meant where nothing is named. Standard library only."""

DEFAULT_NET = "krizhevsky-145"

# They come with the package: what prediction uses, and what training on other data begins with.
DEFAULT_WEIGHTS = "tiny-imagenet-200"

NET_OF_DATA = {"digits": "digits"}  # data that the default net would be absurd for
