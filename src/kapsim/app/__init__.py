"""The web explorer: a local page on which a course of treatment changes as its controls are moved.

`kapsim serve` serves it. Nothing is stored on the server and nothing is asked of another host; whatever a browser sends
is checked again here. Needs the extra ``web``.
"""
