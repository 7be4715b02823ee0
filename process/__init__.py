"""What every command has of its process, shared by ``bench`` and ``analysis``: a link in each leads here.

It imports neither, and nothing but the standard library.
"""
