"""From a stored campaign to a picture: a pure function of the data in its folder (see ``docs/data.md``)."""

from analysis import surroundings as surroundings  # before anything imports matplotlib
