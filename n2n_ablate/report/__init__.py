"""Results for people: tables on the screen, pages, tables for a paper, rows, figures."""
