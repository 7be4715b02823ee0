"""The stored format, shared by what writes it (``bench``) and what reads it (``analysis``); it imports neither."""
