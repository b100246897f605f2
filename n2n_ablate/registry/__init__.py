"""Finds plugins and knows every component by name."""

from __future__ import annotations

from n2n_ablate.registry.names import Entry as Entry
from n2n_ablate.registry.names import Listener as Listener
from n2n_ablate.registry.names import Registry as Registry
