"""Colour spaces: the curve of sRGB, ICC profiles, and tone curves that are not sRGB's."""
