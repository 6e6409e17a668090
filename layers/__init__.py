"""What the city knows: its file, sources, record contracts, lake, products and runs."""
