"""The report of a study: one model, written as a page, as text, as tables for a paper, as rows."""
