"""Pages as single HTML files: a shell with style and script, tables, plots and an album of pictures.

What a page says belongs to whoever makes it, with a template of its own that extends `page.html`.
"""
