"""The demonstration: a scene made on the spot, played as a live feed through the whole pipeline."""
