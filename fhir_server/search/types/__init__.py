"""One module for each type of search parameter: how it is asked, what a resource offers, how the two compare.

`term.py` and `codes.py` hold what several of them share.
"""
