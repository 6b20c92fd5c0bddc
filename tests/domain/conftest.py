"""Rules are tested with values that hypothesis makes up, however busy the machine is."""

from hypothesis import settings

settings.register_profile("modelkeep", deadline=None, max_examples=50)
settings.load_profile("modelkeep")
