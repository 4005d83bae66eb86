"""Colour spaces: the sRGB curve, ICC profiles, and tone curves other than that of sRGB."""
