"""Parts of self-contained HTML pages: the shell with style and script, tables, plots, an album of pictures.

The content belongs to the package that makes a page; its template extends `page.html`.
"""
