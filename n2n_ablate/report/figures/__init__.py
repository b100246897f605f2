"""Pictures: strips of images, what samplers cut, curves, diagnostics."""
