"""A document as a terminal screen, a page, Markdown, LaTeX or CSV."""
