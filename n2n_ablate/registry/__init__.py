"""Finds plugins, holds them in one pluggy manager, and knows every component by name."""

from __future__ import annotations

from n2n_ablate.registry.entry import Entry as Entry
from n2n_ablate.registry.host import Plugin as Plugin
from n2n_ablate.registry.registry import Registry as Registry
