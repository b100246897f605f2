"""Sentences: templates over the fields of records. Every sentence stands in one place, and none is read back."""
