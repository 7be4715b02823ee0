"""The stored format, shared by what writes it (``bench``) and what reads it (``analysis``): a link in each leads here.

It imports neither, and a wheel has it inside both: at its top it holds nothing but the two.
"""
