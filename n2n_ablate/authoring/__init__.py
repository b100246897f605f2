"""For authors of plugins: new ones written, their promises tried, one component in full."""
