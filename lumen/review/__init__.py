"""The page of a run: its pictures before and after, to judge them by and to choose other settings for some of them."""
